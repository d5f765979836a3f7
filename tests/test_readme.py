"""The README and the pages of docs: short, in order, and true of this program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from positions_mcp.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_readme_is_short_and_says_first_what_a_newcomer_needs_first() -> None:
    assert len(README.split()) <= 1_200
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == [
        "Try it",
        "Use it from your assistant",
        "A conversation",
        "The tools",
        "Safety",
        "Live mode",
        "More",
    ]


def test_the_readme_names_every_tool() -> None:
    published = (ROOT / "src" / "positions_mcp" / "tools" / "definitions").glob("*.json")
    assert [tool.stem for tool in published if f"`{tool.stem}`" not in README] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_every_link_of_a_page_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"(?:^\$ |`)positions-mcp ([a-z]+)", text, re.MULTILINE)
    assert set(commands) <= set(COMMANDS)
    targets = re.findall(r"^([a-z0-9]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^\$ |`)make ([a-z0-9]+)", text, re.MULTILINE)) <= set(targets)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
