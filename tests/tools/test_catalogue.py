"""The catalogue of tools: what every tool has, and what is published, so that every change of a schema is noticed.

After an intended change: `make definitions`, and read the difference.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client

from positions_mcp.tools._definition import Effect, ToolDefinition
from positions_mcp.tools.catalogue import DEFINITIONS, NAMES, definition_of, file_of
from tools.definitions import as_text, input_schema, output_schema, published
from tools.serving import StubBroker, server_over

MOST_CHARACTERS = 20_000
"""Of all definitions as JSON: about 4,500 tokens."""

TOOLS = [definition_of(name) for name in NAMES]

every_tool = pytest.mark.parametrize("tool", TOOLS, ids=NAMES)


def schemas_within(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from schemas_within(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from schemas_within(each)


@every_tool
def test_what_is_published_of_a_tool_is_what_it_is(tool: ToolDefinition[Any]) -> None:
    assert file_of(tool.name).read_text(encoding="utf-8") == as_text(published(tool))


def test_there_is_one_file_for_each_tool() -> None:
    assert {file.stem for file in DEFINITIONS.iterdir()} == set(NAMES)


async def test_a_client_of_either_era_is_told_what_is_published_in_this_order(era: str) -> None:
    async with Client(server_over(StubBroker()), mode=era) as client:
        told = [tool.model_dump(by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools]
    assert told == [json.loads(file_of(name).read_text(encoding="utf-8")) for name in NAMES]


def test_a_client_is_told_before_any_tool_is_imported() -> None:
    asked = (
        "import sys; from positions_mcp.tools.catalogue import published_tools; published_tools(); print(*sys.modules)"
    )
    imported = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert not {f"positions_mcp.tools.{name}" for name in (*NAMES, "context", "_running")} & set(imported)


def test_all_definitions_together_are_small() -> None:
    """What is for the host alone no model reads."""
    told = [{name: part for name, part in published(tool).items() if name != "_meta"} for tool in TOOLS]
    assert len(json.dumps(told, separators=(",", ":"))) <= MOST_CHARACTERS


@every_tool
def test_every_tool_has_a_title_and_a_short_description(tool: ToolDefinition[Any]) -> None:
    assert tool.title
    assert tool.title != tool.name
    assert 40 <= len(tool.description) <= 600


@every_tool
def test_every_tool_has_all_four_hints_and_they_agree(tool: ToolDefinition[Any]) -> None:
    hints = tool.annotations.model_dump(by_alias=True)
    assert all(isinstance(hints[name], bool) for name in hints if name.endswith("Hint"))
    assert hints["destructiveHint"] is (tool.effect is Effect.DESTROYS)
    assert hints["readOnlyHint"] is (tool.effect is Effect.READS)


@pytest.mark.requirement("G-09")
@every_tool
def test_every_argument_is_described_closed_and_of_one_type(tool: ToolDefinition[Any]) -> None:
    schema = input_schema(tool.arguments)
    assert schema["additionalProperties"] is False
    for name, argument in schema["properties"].items():
        assert argument.get("description"), f"{tool.name}.{name} is not described"
        assert isinstance(argument["type"], str)
    for each in schemas_within(schema):
        assert not {"anyOf", "oneOf", "allOf", "$ref", "$defs"} & set(each)
        assert each.get("type") != "object" or each.get("additionalProperties") is False


def pydantics_own(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema of pydantic's without what this program leaves out: titles, references, null and the unions with it."""
    if isinstance(schema, list):
        return [pydantics_own(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return pydantics_own(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    arms = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("title", "$defs", "anyOf")}
    if rest.get("default", ...) is None:
        del rest["default"]
    if "properties" in rest:
        rest.pop("description", None)
        rest["properties"] = {name: pydantics_own(each, definitions) for name, each in rest["properties"].items()}
        return rest
    whole = {key: pydantics_own(value, definitions) for key, value in rest.items()}
    return whole | (pydantics_own(arms[0], definitions) if arms else {})


@pytest.mark.requirement("G-09")
@every_tool
def test_what_is_published_of_the_arguments_is_what_pydantic_enforces(tool: ToolDefinition[Any]) -> None:
    enforced = tool.arguments.model_json_schema()
    assert input_schema(tool.arguments) == pydantics_own(enforced, enforced.get("$defs", {}))


@every_tool
def test_what_is_published_of_the_answer_is_the_first_level_of_its_model(tool: ToolDefinition[Any]) -> None:
    told = output_schema(tool.output)
    whole = tool.output.model_json_schema()
    answered = pydantics_own(whole, whole.get("$defs", {}))
    assert {name: each["type"] for name, each in told["properties"].items()} == {
        name: each["type"] for name, each in answered["properties"].items()
    }


@every_tool
def test_every_tool_has_an_output_schema_without_unions(tool: ToolDefinition[Any]) -> None:
    schema = output_schema(tool.output)
    assert schema["type"] == "object"
    assert schema["properties"]
    for each in schemas_within(schema):
        assert not {"anyOf", "oneOf", "$ref"} & set(each)


@pytest.mark.requirement("G-01")
@every_tool
def test_no_argument_stands_in_for_a_persons_decision(tool: ToolDefinition[Any]) -> None:
    names = set(input_schema(tool.arguments)["properties"])
    assert not names & {
        "approve",
        "approved",
        "confirm",
        "confirmed",
        "force",
        "yes",
        "passphrase",
        "decision",
        "dry_run",
    }
