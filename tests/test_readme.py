"""The README and the pages of docs: short, in order, and true of this program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from positions_mcp.cli import COMMANDS, main
from positions_mcp.identity import WEBSITE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


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
    targets = re.findall(r"^([a-z0-9]+):.*##", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"(?:^\$ |`)make ([a-z0-9]+)", text, re.MULTILINE)) <= set(targets)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("http", "#"))]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_what_a_target_needs_stands_beside_its_command(page: Path) -> None:
    needs = dict(re.findall(r"^([a-z0-9]+):.*## .*\(needs ([a-z ]+)", MAKEFILE, re.MULTILINE))
    assert needs["test"] == "node and npm"
    for target, said in re.findall(r"^\$ make ([a-z0-9]+) +# (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert target not in needs or f"needs {needs[target]}" in said, target


def test_the_readmes_lines_for_live_mode_end_with_a_host_that_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = README.partition("## Live mode")[2].partition("```console\n")[2].partition("```")[0]
    export, install = (line.partition("#")[0].removeprefix("$ ").split() for line in block.splitlines())
    (tmp_path / "key").write_text("id.secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv(export[1].partition("=")[0], str(tmp_path / "key"))
    assert main([*install[1:], "--yes"]) == 0
    written = (tmp_path / ".claude.json").read_text(encoding="utf-8")
    assert '"live"' in written
    assert str(tmp_path / "key") in written
    assert "id.secret" not in written


def test_the_list_of_targets_is_in_two_columns() -> None:
    (width,) = map(int, re.findall(r"expand -t (\d+)", MAKEFILE))
    assert max(map(len, re.findall(r"^([a-z0-9]+):.*##", MAKEFILE, re.MULTILINE))) < width


def test_a_weakness_is_reported_where_the_maintainers_alone_read_it() -> None:
    assert f"({WEBSITE}/security/advisories/new)" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_what_an_installed_program_says_leads_to_pages_that_are_somewhere() -> None:
    """A wheel has no `docs` beside it; docstrings are read where there are."""
    pages = set()
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        said = [node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in told]
        assert [words for words in said if isinstance(words, str) and re.search("(?<![/a-z])docs/[a-z]", words)] == []
        pages |= set(re.findall(r"{MANUAL}/([a-z-]+\.md)", text))
    assert pages >= {"sign-in.md", "commands.md"}
    assert [page for page in pages if not (ROOT / "docs" / page).exists()] == []
