"""The peer: a server generated from the API's own specification, with packages of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
from benchmarks.processes import ACCOUNT, HERE, KEY, ROOT, McpProcess, Upstream

PACKAGE = "fastmcp==4.1.2"
VENV = ROOT / ".venv-peer"

_PYTHON = VENV / "bin" / "python"


def prepare() -> None:
    """Install the peer beside the program, once."""
    done = VENV / PACKAGE
    if done.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    options = ["-qqq", "--disable-pip-version-check"]
    subprocess.run([str(_PYTHON), "-m", "pip", "install", *options, PACKAGE], check=True)
    done.touch()


def command(api: Upstream, folder: Path) -> list[str]:
    """What starts the peer over `api`, whose specification, in its own words, is kept in `folder`."""
    specification = folder / "openapi.json"
    specification.write_bytes(httpx.get(f"{api.url}/openapi.json", trust_env=False).raise_for_status().content)
    return [str(_PYTHON), str(HERE / "peer_server.py"), api.url, KEY, str(specification)]


POSITIONS = ("get_positions", {"account_id": ACCOUNT})
"""The generated tool, and its arguments, that answers what `list_positions` answers."""


def call_positions(server: McpProcess) -> bytes:
    """The line with which the generated server answers."""
    return server.call(*POSITIONS)
