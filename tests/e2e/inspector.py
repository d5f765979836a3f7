"""The MCP Inspector's own page, from npm, with the Node that it needs: a host of views that nobody here has written."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Frame, FrameLocator, Page, expect

from data_dirs import PROGRAM
from e2e.installation import Installation

PACKAGES = ("@modelcontextprotocol/inspector@2.12.0", "node@22.23.3")
_HEAR = """window.said = [];
addEventListener("message", ({ source, data }) => source !== parent && said.push(data.method ?? "an answer"));
"""
"""Keeps what every frame is told from inside of it."""
_FOLDER = Path(__file__).parents[2] / "build" / "inspector"
_LAUNCHER = (
    _FOLDER / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)
_NODE = _FOLDER / "node_modules" / "node" / "bin" / "node"


def prepare() -> None:
    """Install it in `build`, once. Raises CalledProcessError where npm cannot."""
    if not (_LAUNCHER.is_file() and _NODE.is_file()):
        _FOLDER.mkdir(parents=True, exist_ok=True)
        options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", *options, "--prefix", str(_FOLDER), *PACKAGES], check=True)


@dataclass
class Inspector:
    """The Inspector in a browser, connected to a server of the installation."""

    page: Page

    def opens(self, title: str, **arguments: str) -> None:
        """Call a tool by its app, and show the view of the answer."""
        self.page.get_by_role("button", name=re.compile(f"^{title}")).click()
        for name, value in arguments.items():
            self.page.get_by_role("textbox", name=name, exact=True).fill(value)
        self.page.get_by_role("button", name="Open App").click()
        expect(self.page.locator("iframe")).to_be_visible()
        expect(self._inside.locator(".pictures")).to_be_attached()

    def closes(self) -> None:
        """Back to the list of apps."""
        self.page.get_by_role("button", name="Close", exact=True).first.click()
        expect(self.page.locator("iframe")).to_have_count(0)

    @property
    def _inside(self) -> FrameLocator:
        return self.page.frame_locator("iframe").frame_locator("iframe")

    @property
    def view(self) -> Frame:
        """The view's frame, inside of the Inspector's sandbox."""
        frame = self.page.frames[-1]
        assert frame.parent_frame is not None
        assert frame.parent_frame.parent_frame is self.page.main_frame
        return frame

    @property
    def said(self) -> set[str]:
        """The methods of whatever the view has said to the Inspector."""
        sandbox = self.view.parent_frame
        assert sandbox is not None
        said: list[str] = sandbox.evaluate("said")
        return set(said)


@contextmanager
def inspector(installation: Installation, page: Page, folder: Path) -> Iterator[Inspector]:
    """The Inspector, started for this page, with the server of the installation connected."""
    command, *words = PROGRAM
    said = {name: value for name, value in installation.environment.items() if name.startswith("POSITIONS_MCP_")}
    config = folder / "inspector.json"
    server = {"command": command, "args": [*words, "serve"], "env": said}
    config.write_text(json.dumps({"mcpServers": {"positions": server}}), encoding="utf-8")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "PATH": f"{_NODE.parent}{os.pathsep}{os.environ['PATH']}",
        "CLIENT_PORT": str(_free_port()),
        "MCP_SANDBOX_PORT": str(_free_port()),
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    start = [str(_NODE), str(_LAUNCHER), "--web", "--config", str(config)]
    with subprocess.Popen(start, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(
                found[0] for line in process.stdout if (found := re.search(r"http://\S+API_TOKEN=\S+", line))
            )
            page.add_init_script(_HEAR)
            page.goto(address)
            page.get_by_role("switch", name=re.compile("^Connect")).click(force=True)  # it is drawn over
            page.get_by_text("Apps", exact=True).click()
            expect(page.get_by_role("heading", name="MCP Apps (5)")).to_be_visible()
            yield Inspector(page)
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
