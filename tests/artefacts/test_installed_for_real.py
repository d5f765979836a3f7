"""From the built wheel to an answer, as a newcomer does it: `uvx --from WHEEL positions-mcp install HOST`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from release.places import ROOT, run
from release.tools import tool

from artefacts.conftest import Built
from artefacts.model import TOOL, answering

pytestmark = pytest.mark.xdist_group("artefacts")


async def test_uvx_install_ends_with_a_host_that_answers_what_is_held(
    built: Built, alone: Mapping[str, str], tmp_path: Path
) -> None:
    said = run("uvx", "--from", built.wheel, "positions-mcp", "install", "claude-code", "--yes", environment=alone)
    assert "PAPER" in said
    assert "What do I hold?" in said

    written = json.loads((Path(alone["HOME"]) / ".claude.json").read_text(encoding="utf-8"))["mcpServers"]["positions"]
    assert Path(written["command"]).name == "uvx"
    assert ".cache" not in " ".join([written["command"], *written["args"]])
    server = StdioServerParameters(command=written["command"], args=written["args"], env=dict(alone))
    async with Client(server) as client:
        answer = await client.call_tool("list_positions", {})
    assert answer.structured_content, answer.content
    assert answer.structured_content["held"] == 25

    assert "✔ Connected" in run(tool("claude"), "mcp", "list", cwd=tmp_path, environment=alone)
    with answering() as model:
        environment = {**alone, "ANTHROPIC_BASE_URL": model, "ANTHROPIC_API_KEY": "none", "ENABLE_TOOL_SEARCH": "false"}
        asking = (tool("claude"), "-p", "What do I hold?", "--allowedTools", TOOL)
        told = run(*asking, cwd=tmp_path, environment=environment)
    assert "PAPER" in told
    assert "NVDA" in told


def test_the_readme_and_the_page_say_how_with_each_installer() -> None:
    for page in ("README.md", "docs/install.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search(r"^\$ uvx positions-mcp install claude-code", text, re.MULTILINE)
        assert re.search(r"^\$ pipx install positions-mcp .*pip install", text, re.MULTILINE)
