"""JSON schemas as small and as strict as they can be: closed, without unions, references, titles or null defaults.

Authors write `str | None = None` for an argument that may be left out; the published schema says `string` and does not
require it. Every token of these schemas is paid for in every conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_NESTED = ("items", "additionalProperties")
_UNIONS = ("anyOf", "oneOf", "allOf")


def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's arguments.

    Raises:
        TypeError: an object in it is open, or a value may be of several types: a mistake of the tool's author.
    """
    schema = _slim(model.model_json_schema(by_alias=True, schema_generator=_Generator))
    _check_closed(schema, model.__name__)
    return schema


def output_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's structured content, to its first level: deeper, the names of keys and columns speak.

    Structured content is dumped without nulls. Raises TypeError for unions.
    """
    schema = _slim(model.model_json_schema(by_alias=True, schema_generator=_Generator))
    _check_union_free(schema, model.__name__)
    return {**schema, "properties": {name: _first_level(each) for name, each in schema["properties"].items()}}


class _Generator(GenerateJsonSchema):
    """Writes `X | None` as X, and leaves out a default of null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        if written.get("default", ...) is None:
            written.pop("default")
        return written


def _slim(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = {f"#/$defs/{name}": each for name, each in schema.pop("$defs", {}).items()}
    # A description on a model is its docstring, written for who reads the code.
    schema.pop("description", None)
    return _slimmed(schema, definitions)


def _slimmed(schema: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        target = {key: value for key, value in definitions[reference].items() if key != "description"}
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    slim = {key: value for key, value in schema.items() if key != "title"}
    for key in _NESTED:
        if isinstance(slim.get(key), Mapping):
            slim[key] = _slimmed(slim[key], definitions)
    if properties := slim.get("properties"):
        slim["properties"] = {name: _slimmed(each, definitions) for name, each in properties.items()}
    return slim


def _first_level(schema: Mapping[str, Any]) -> dict[str, Any]:
    shallow = {key: schema[key] for key in ("type", "description", "enum") if key in schema}
    if "items" in schema:
        shallow["items"] = {"type": schema["items"]["type"]}
    return shallow


def _check_closed(schema: Mapping[str, Any], where: str) -> None:
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise TypeError(f"{where} accepts unknown arguments: give its model extra='forbid'")
    _check_union_free(schema, where)
    for name, each in _children(schema):
        _check_closed(each, f"{where}.{name}")


def _check_union_free(schema: Mapping[str, Any], where: str) -> None:
    if unions := [key for key in _UNIONS if key in schema]:
        raise TypeError(f"{where} may be of several types ({', '.join(unions)})")
    for name, each in _children(schema):
        _check_union_free(each, f"{where}.{name}")


def _children(schema: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    nested = [(key, schema[key]) for key in _NESTED if isinstance(schema.get(key), Mapping)]
    return [*nested, *schema.get("properties", {}).items()]
