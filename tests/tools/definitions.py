"""What is published of every tool, made from the tools themselves: `make definitions` writes one file for each.

Schemas are as small and as strict as they can be: closed, without unions, references, titles or null defaults. An
author writes `str | None = None` for an argument that may be left out; what is published says `string` and does not
require it. Every token of these schemas is paid for in every conversation.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, Strict
from pydantic.fields import FieldInfo

from positions_mcp.tools._definition import ToolDefinition
from positions_mcp.tools.catalogue import DEFINITIONS, NAMES, definition_of, file_of

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}

Schema = dict[str, Any]


def published(tool: ToolDefinition[Any]) -> Schema:
    """What a client is told of a tool."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "annotations": tool.annotations.model_dump(by_alias=True, exclude_none=True),
        "inputSchema": input_schema(tool.arguments),
        "outputSchema": output_schema(tool.output),
        **({"_meta": tool.meta} if tool.meta else {}),
    }


def as_text(value: Schema) -> str:
    """The same as JSON with one property a line, so that a difference shows what has changed."""
    return "".join(_lines(value, "")) + "\n"


def write_all() -> None:
    """Write every file anew, and remove those of tools that are gone."""
    DEFINITIONS.mkdir(exist_ok=True)
    for file in DEFINITIONS.glob("*.json"):
        if file.stem not in NAMES:
            file.unlink()
    for name in NAMES:
        file_of(name).write_text(as_text(published(definition_of(name))), encoding="utf-8")


def input_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's arguments.

    Raises:
        TypeError: an object in it is open, or a value may be of several types or constrained in a way that this module
            cannot say: a mistake of the tool's author.
    """
    if model.model_config.get("extra") != "forbid":
        raise TypeError(f"{model.__name__} accepts unknown arguments: make it a ToolArguments")
    return {**_object(model, _argument), "additionalProperties": False}


def output_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's structured content, to its first level: deeper, the names of keys and columns speak.

    What is always there is not listed: the model that makes the answer holds it, and each name costs tokens in every
    conversation. Structured content is dumped without nulls. Raises TypeError as `input_schema` does.
    """
    schema = _object(model, _answered)
    schema.pop("required", None)
    return schema


def _object(model: type[BaseModel], write: Callable[[Any, Iterable[Any], str], Schema]) -> Schema:
    properties: dict[str, Schema] = {}
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        properties[name] = write(field.annotation, field.metadata, f"{model.__name__}.{name}")
        if field.description:
            properties[name]["description"] = field.description
        if not field.is_required() and field.default is not None:
            properties[name]["default"] = field.default
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _argument(annotation: Any, metadata: Iterable[Any], where: str) -> Schema:
    kind, more = _unwrapped(annotation)
    schema: Schema
    if kind in _SCALARS:
        schema = {"type": _SCALARS[kind]}
    elif get_origin(kind) is Literal:
        schema = {"type": "string", "enum": list(get_args(kind))}
    elif get_origin(kind) is list:
        schema = {"type": "array", "items": _argument(get_args(kind)[0], (), f"{where}[]")}
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        schema = input_schema(kind)
    else:
        raise TypeError(f"{where} may be of several types, or of one that is not published: {kind}")
    for constraint in (*metadata, *more):
        schema |= _constraint(constraint, schema["type"], where)
    return schema


def _answered(annotation: Any, _: Iterable[Any], where: str) -> Schema:
    kind, _ = _unwrapped(annotation)
    if get_origin(kind) is list:
        return {"type": "array"}
    if get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {"type": "object"}
    return _argument(kind, (), where)


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """The type inside `Annotated` and `… | None`, and what is annotated to it."""
    metadata: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for each in more:
                metadata += each.metadata if isinstance(each, FieldInfo) else [each]
        elif get_origin(annotation) in (Union, types.UnionType):
            arms = [each for each in get_args(annotation) if each is not types.NoneType]
            if len(arms) > 1:
                return annotation, metadata
            annotation = arms[0]
        else:
            return annotation, metadata


def _constraint(constraint: Any, kind: str, where: str) -> Schema:
    counted = "Items" if kind == "array" else "Length"
    match constraint:
        case annotated_types.Ge(ge=limit):
            return {"minimum": limit}
        case annotated_types.Le(le=limit):
            return {"maximum": limit}
        case annotated_types.MinLen(min_length=length):
            return {f"min{counted}": length}
        case annotated_types.MaxLen(max_length=length):
            return {f"max{counted}": length}
        case Strict():
            return {}
    if pattern := getattr(constraint, "pattern", None):
        return {"pattern": pattern}
    raise TypeError(f"{where} is constrained by {constraint!r}, which the published schema would not say")


def _lines(value: Schema, indent: str) -> Iterator[str]:
    """Whatever has properties over several lines, with one property a line."""
    yield "{\n"
    for number, (name, each) in enumerate(value.items(), 1):
        yield f"{indent}  {json.dumps(name)}: "
        if each and (name == "properties" or _has_properties(each)):
            yield from _lines(each, f"{indent}  ")
        else:
            yield json.dumps(each, ensure_ascii=False)
        yield ",\n" if number < len(value) else f"\n{indent}}}"


def _has_properties(value: Any) -> bool:
    return isinstance(value, dict) and ("properties" in value or any(map(_has_properties, value.values())))


if __name__ == "__main__":
    write_all()
