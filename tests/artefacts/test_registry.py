"""`server.json`: what the MCP registry is told about this program is valid, and true."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, FormatChecker

from positions_mcp import __version__, identity
from positions_mcp.settings import load

ROOT = Path(__file__).parents[2]
SAID = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
(PACKAGE,) = SAID["packages"]
VALUES = {
    "POSITIONS_MCP_ACCOUNTS": "19816,19817",
    "POSITIONS_MCP_DATA_DIR": "/somewhere",
    "POSITIONS_MCP_TRADING__ENABLED": "true",
    "POSITIONS_MCP_TRADING__MAX_NOTIONAL": "none",
    "POSITIONS_MCP_TRADING__MAX_DAILY_NOTIONAL": "200000",
    "POSITIONS_MCP_TRADING__MAX_POSITIONS": "20",
    "POSITIONS_MCP_STORE__URL": "postgresql://me@host/database",
}


def test_it_is_valid_by_the_schema_of_the_registry() -> None:
    released = SAID["$schema"].split("/")[-2].replace("-", "_")
    place = files("skillsaw") / "schemas" / "mcp_registry" / f"v{released}" / "server.schema.json"
    schema = json.loads(place.read_text(encoding="utf-8"))
    assert schema["$id"] == SAID["$schema"]
    Draft7Validator(schema, format_checker=FormatChecker()).validate(SAID)


def test_it_says_of_this_version_what_the_program_says_of_itself() -> None:
    assert (SAID["version"], PACKAGE["version"]) == (__version__, __version__)
    assert (SAID["title"], SAID["description"]) == (identity.TITLE, identity.DESCRIPTION)
    assert SAID["websiteUrl"] == identity.WEBSITE == SAID["repository"]["url"]
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", PROJECT["name"])
    assert PACKAGE["transport"] == {"type": "stdio"}


def test_the_readme_owns_the_name_as_the_registry_asks() -> None:
    assert f"mcp-name: {SAID['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_variable_is_one_that_the_program_reads_and_every_choice_is_taken() -> None:
    said = {each["name"]: each for each in PACKAGE["environmentVariables"]}
    settings = {name for name in said if name.startswith("POSITIONS_MCP_")}
    assert settings == {"POSITIONS_MCP_MODE", *VALUES}
    for mode in said["POSITIONS_MCP_MODE"]["choices"]:
        assert load(environment={**VALUES, "POSITIONS_MCP_MODE": mode}).mode == mode
    assert load(environment={}).mode == said["POSITIONS_MCP_MODE"]["default"]
    assert set(said) - settings == {"CLEAR_STREET_API_KEY", "CLEAR_STREET_API_KEY_FILE"}


@pytest.mark.parametrize("name", ["CLEAR_STREET_API_KEY", "POSITIONS_MCP_STORE__URL"])
def test_what_holds_a_secret_is_marked_and_has_no_default(name: str) -> None:
    (variable,) = (each for each in PACKAGE["environmentVariables"] if each["name"] == name)
    assert variable["isSecret"] is True
    assert "default" not in variable
