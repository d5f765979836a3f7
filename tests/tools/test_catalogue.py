"""The catalogue of tools: what every tool has, and what is published, so that every change of a schema is noticed.

After an intended change: `REFRESH_SNAPSHOTS=1 python -m pytest tests/tools/test_catalogue.py`, and read the difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from mcp_types import Tool as MCPTool

from positions_mcp.tools._late import DEFINITIONS
from positions_mcp.tools._spec import Effect, ToolSpec
from positions_mcp.tools.catalogue import CATALOGUE
from tools.serving import Shelf, refresh_wanted, server_over

MOST_CHARACTERS = 20_000
"""Of all definitions as JSON: about 4,500 tokens."""

every_tool = pytest.mark.parametrize("spec", CATALOGUE, ids=lambda spec: spec.name)


def schemas_within(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from schemas_within(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from schemas_within(each)


async def definitions() -> list[dict[str, Any]]:
    async with Client(server_over(Shelf()), mode="legacy") as client:
        return [tool.model_dump(by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools]


def test_what_is_published_of_the_tools_is_what_they_are() -> None:
    tools = [spec.build() for spec in CATALOGUE]
    now = [
        MCPTool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.parameters,
            output_schema=tool.output_schema,
            annotations=tool.annotations,
        ).model_dump(by_alias=True, exclude_none=True)
        for tool in tools
    ]
    if refresh_wanted():
        DEFINITIONS.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert now == json.loads(DEFINITIONS.read_text(encoding="utf-8"))


async def test_a_client_is_told_what_is_published() -> None:
    assert await definitions() == json.loads(DEFINITIONS.read_text(encoding="utf-8"))


async def test_a_client_of_either_era_sees_exactly_the_catalogue(era: str) -> None:
    async with Client(server_over(Shelf()), mode=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [spec.name for spec in CATALOGUE]


async def test_all_definitions_together_are_small() -> None:
    assert len(json.dumps(await definitions(), separators=(",", ":"))) <= MOST_CHARACTERS


@every_tool
def test_every_tool_has_a_title_and_a_short_description(spec: ToolSpec) -> None:
    assert spec.title
    assert spec.title != spec.name
    assert 40 <= len(spec.description) <= 600


@every_tool
def test_every_tool_has_all_four_hints_and_they_agree(spec: ToolSpec) -> None:
    hints = spec.annotations.model_dump(by_alias=True)
    assert all(isinstance(hints[name], bool) for name in hints if name.endswith("Hint"))
    assert hints["readOnlyHint"] is not hints["destructiveHint"]
    assert hints["readOnlyHint"] is (spec.effect is Effect.READS)


@pytest.mark.requirement("G-09")
@every_tool
def test_every_argument_is_described_closed_and_of_one_type(spec: ToolSpec) -> None:
    schema = spec.build().parameters
    assert schema["additionalProperties"] is False
    for name, argument in schema["properties"].items():
        assert argument.get("description"), f"{spec.name}.{name} is not described"
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
def test_what_is_published_of_the_arguments_is_what_pydantic_enforces(spec: ToolSpec) -> None:
    tool = spec.build()
    enforced = tool.fn_metadata.arg_model.model_json_schema()
    assert tool.parameters == pydantics_own(enforced, enforced.get("$defs", {}))


@every_tool
def test_what_is_published_of_the_answer_is_the_first_level_of_its_model(spec: ToolSpec) -> None:
    published = spec.build().output_schema
    assert published is not None
    whole = spec.output.model_json_schema()
    answered = pydantics_own(whole, whole.get("$defs", {}))
    assert published.get("required") == answered.get("required")
    assert {name: each["type"] for name, each in published["properties"].items()} == {
        name: each["type"] for name, each in answered["properties"].items()
    }


@every_tool
def test_every_tool_has_an_output_schema_without_unions(spec: ToolSpec) -> None:
    schema = spec.build().output_schema
    assert schema is not None
    assert schema["type"] == "object"
    assert schema["properties"]
    for each in schemas_within(schema):
        assert not {"anyOf", "oneOf", "$ref"} & set(each)


@pytest.mark.requirement("G-01")
@every_tool
def test_no_argument_stands_in_for_a_persons_decision(spec: ToolSpec) -> None:
    names = set(spec.build().parameters["properties"])
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
