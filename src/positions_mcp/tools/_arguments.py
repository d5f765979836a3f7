"""The arguments of tools: closed and strict, but for the ways in which hosts are known to write the same value.

A list may come as JSON text, a number as digits, and an integer as `5.0`. A tool that only reads takes null for
an argument that may be left out, and a choice in other letters or by the name of its column. A tool that sends takes
null only where every argument is named, which is how a toolkit with strict schemas leaves one out. A number of
contracts may be a number. Everything else has to be what the published schema says: above all no text and no
number stands for a boolean, and nothing widens what a destructive tool was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

DAY = r"^(\d{4}-\d{2}-\d{2}|today)$"
CONTRACTS = "^[1-9][0-9]{0,8}$"
KEY = "^[!-~]{1,128}$"
PRICE = r"^\d{1,9}(\.\d{1,6})?$"

_BY_COLUMN = {
    "day_unrealized_pnl": "DAILY_UNREALIZED_PNL",
    "day_realized_pnl": "DAILY_REALIZED_PNL",
    "type": "INSTRUMENT_TYPE",
    "value": "MARKET_VALUE",
}
"""Sort keys that answers call otherwise in their columns."""
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_LONGEST_INTEGER = 19
_LARGEST_EXACT_FLOAT = 2**53


class ToolArguments(BaseModel):
    """The base of every model that is part of a tool's arguments: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)


AccountArgument = Annotated[int | None, Field(description="Default: the only one")]
ReadAccountArgument = Annotated[int | None, Field(description="Default: all")]
InstrumentsArgument = Annotated[
    list[str] | None, Field(min_length=1, max_length=100, description="Symbols, OSI option symbols or UUIDs")
]
CancelOrdersArgument = Annotated[bool | None, Field(description="Cancel their open orders first; default false")]
PlanIdArgument = Annotated[
    str | None, Field(min_length=1, max_length=64, description="Alone continues a plan; else must match")
]
PurposeArgument = Annotated[str | None, Field(max_length=200, description="Why")]
CursorArgument = Annotated[str | None, Field(min_length=1, description="next_cursor, alone")]


def as_published(given: Mapping[str, Any], schema: Mapping[str, Any], *, reads: bool) -> dict[str, Any]:
    """What a host gave, in the types of the published schema where it plainly means them.

    Text such as "null" or "true" stays the text that it is: parsed, it would widen a filter or decide something.
    """
    whole = {name: _from_json_text(value, _property(schema, name)) for name, value in given.items()}
    return _object(whole, schema, reads=reads, drop_nulls=reads or _names_everything(whole, schema))


def _names_everything(given: Any, schema: Mapping[str, Any]) -> bool:
    match schema.get("type"), given:
        case "object", dict():
            properties = schema["properties"]
            return given.keys() == properties.keys() and all(
                _names_everything(value, properties[name]) for name, value in given.items()
            )
        case "array", list():
            return all(_names_everything(each, schema["items"]) for each in given)
    return True


def _object(given: Mapping[str, Any], schema: Mapping[str, Any], *, reads: bool, drop_nulls: bool) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        name: _value(value, _property(schema, name), reads=reads, drop_nulls=drop_nulls)
        for name, value in given.items()
        if not (drop_nulls and value is None and name in schema["properties"] and name not in required)
    }


def _value(given: Any, schema: Mapping[str, Any], *, reads: bool, drop_nulls: bool) -> Any:
    match schema.get("type"), given:
        case "string", str() if reads and "enum" in schema:
            return _choice(given, schema["enum"])
        case "string", int() | float() if schema.get("pattern") == CONTRACTS and not isinstance(given, bool):
            return str(int(given)) if float(given).is_integer() and abs(given) <= _LARGEST_EXACT_FLOAT else given
        case "number", str():
            return _number(given)
        case "integer", str() | float():
            return _integer(given)
        case "array", list():
            return [_value(each, schema["items"], reads=reads, drop_nulls=drop_nulls) for each in given]
        case "object", dict():
            return _object(given, schema, reads=reads, drop_nulls=drop_nulls)
    return given


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema["properties"].get(name, {})
    return found


def _choice(given: str, known: list[str]) -> str:
    wanted = _BY_COLUMN.get(given.lower(), given)
    return next((each for each in known if each.lower() == wanted.lower()), given)


def _number(given: str) -> float | str:
    return float(given) if _NUMBER.fullmatch(given) else given


def _integer(given: str | float) -> int | str | float:
    if isinstance(given, str):
        return int(given) if given.isascii() and given.isdigit() and len(given) <= _LONGEST_INTEGER else given
    return int(given) if given.is_integer() and abs(given) <= _LARGEST_EXACT_FLOAT else given


def _from_json_text(given: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") != "array" or not isinstance(given, str):
        return given
    try:
        parsed = json.loads(given)
    except (ValueError, RecursionError):
        return given
    return parsed if isinstance(parsed, list) else given
