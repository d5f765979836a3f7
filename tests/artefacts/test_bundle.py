"""The `.mcpb` bundle, installed and started as a host does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from release import archive, judge
from release.places import PACKAGING, run
from release.tools import tool

from artefacts.conftest import Built
from positions_mcp import identity
from positions_mcp.settings import load

pytestmark = pytest.mark.xdist_group("artefacts")
MANIFEST = json.loads((PACKAGING / "bundle" / "manifest.json").read_text(encoding="utf-8"))
SETTINGS = MANIFEST["user_config"]
_HOST = """
import { readFileSync } from "fs";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb/browser";
const [extensionPath, said] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${extensionPath}/manifest.json`, "utf-8"));
const options = { manifest, extensionPath, systemDirs: {}, userConfig: JSON.parse(said), pathSeparator: "/" };
console.log(JSON.stringify(await getMcpConfigForManifest(options)));
"""


def as_a_host_reads_it(folder: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a host would start for a person who said this, by the code that Claude Desktop uses."""
    modules = tool("mcpb").parents[2]
    script = modules / "as-a-host.mjs"
    script.write_text(_HOST, encoding="utf-8")
    answer: dict[str, Any] = json.loads(run("node", script, folder, json.dumps(said)))
    return answer


async def test_a_host_with_uv_alone_starts_it_and_it_answers_what_is_held(
    built: Built, alone: Mapping[str, str], tmp_path: Path
) -> None:
    judge.bundle(built.bundle)
    extension = tmp_path / "extension"
    run(tool("mcpb"), "unpack", built.bundle, extension)
    start = as_a_host_reads_it(extension, {})
    server = StdioServerParameters(command=start["command"], args=start["args"], env={**alone, **start["env"]})
    async with Client(server) as client:
        answer = await client.call_tool("list_positions", {})
    assert answer.structured_content, answer.content
    assert (answer.structured_content["mode"], answer.structured_content["held"]) == ("PAPER", 25)


def test_it_carries_the_program_its_licence_and_no_address_of_where_it_was_made(built: Built) -> None:
    contents = archive.read(built.bundle)
    names = {"LICENSE", "icon.png", "manifest.json", "pyproject.toml", "server.py", built.wheel.name}
    assert set(contents) == names
    project = contents["pyproject.toml"].decode()
    assert "mcp==" in project
    assert "://" not in project
    assert str(Path.home()) not in project


def test_what_is_secret_is_kept_as_a_secret_and_nothing_else_is_hidden() -> None:
    assert {name for name, setting in SETTINGS.items() if setting.get("sensitive")} == {"api_key"}
    assert SETTINGS["api_key"]["default"] == ""
    assert MANIFEST["description"] == identity.DESCRIPTION


@pytest.mark.parametrize(
    ("said", "mode", "trading"),
    [
        ({}, "paper", True),
        ({"accounts": "19816, 19817"}, "paper", True),
        ({"orders": "false"}, "paper", False),
        ({"mode": "live", "accounts": "7", "api_key": "a.b"}, "live", False),
        ({"mode": "live", "accounts": "7", "api_key": "a.b", "orders": "true", "max_positions": "5"}, "live", True),
        ({"mode": "live", "accounts": "7", "api_key": "a.b", "data_dir": "/a folder"}, "live", False),
    ],
    ids=str,
)
def test_what_a_person_says_to_the_host_is_what_the_program_goes_by(
    said: dict[str, str], mode: str, trading: bool
) -> None:
    environment = as_a_host_reads_it(PACKAGING / "bundle", said)["env"]
    settings = load(environment={name: value for name, value in environment.items() if name.startswith("POSITIONS_")})
    assert (settings.mode, settings.trading_enabled) == (mode, trading)
    assert environment["CLEAR_STREET_API_KEY"] == said.get("api_key", "")
    assert not any("${" in value for value in environment.values())


def test_every_setting_of_the_bundle_is_given_to_the_program_and_may_be_left_empty() -> None:
    given = MANIFEST["server"]["mcp_config"]["env"].values()
    assert set(given) == {f"${{user_config.{name}}}" for name in SETTINGS}
    assert all("default" in setting and not setting.get("required") for setting in SETTINGS.values())
