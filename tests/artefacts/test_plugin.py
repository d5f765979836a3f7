"""The Claude plugin: valid, of this version, and its skill speaks of what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from release import build, judge, versions
from release.places import PACKAGING, ROOT

from positions_mcp import __version__
from positions_mcp.tools.catalogue import published_tools

pytestmark = pytest.mark.xdist_group("artefacts")
SKILL = (PACKAGING / "plugin" / "skills" / "positions" / "SKILL.md").read_text(encoding="utf-8")


def test_claude_code_finds_nothing_wrong_with_the_plugin_and_the_marketplace(tmp_path: Path) -> None:
    judge.plugin(build.plugin(tmp_path))


def test_every_file_that_names_the_version_names_this_one() -> None:
    assert {name: found for name, found in versions.named().items() if found != {__version__}} == {}


def test_the_skill_names_tools_and_arguments_that_there_are_and_every_tool_that_prepares_or_sends() -> None:
    tools = {tool.name: tool for tool in published_tools()}
    arguments = {name for tool in tools.values() for name in tool.parameters["properties"]}
    named = set(re.findall(r"`([a-z_]+)(?:=[^`]*)?`", SKILL))
    assert named <= set(tools) | arguments
    assert {name for name, tool in tools.items() if not (tool.annotations and tool.annotations.read_only_hint)} <= named
    assert {name for name in tools if name.startswith("preview_")} <= named


def test_the_skill_is_short_and_says_what_a_person_decides_and_what_is_never_promised() -> None:
    assert len(SKILL.split()) <= 600
    assert re.findall(r"^## (.*)$", SKILL, re.MULTILINE) == [
        "Looking",
        "Planning a close",
        "Planning an exercise",
        "What a person decides",
        "Never promise",
    ]


def test_the_marketplace_leads_to_the_plugin() -> None:
    market = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
    (plugin,) = market["plugins"]
    there = json.loads((ROOT / plugin["source"] / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
    assert (plugin["name"], plugin["description"]) == (there["name"], there["description"])
