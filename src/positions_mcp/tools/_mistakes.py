"""What is wrong with the arguments of a call, in words that a model can mend them by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.portfolio.resolve import similar
from positions_mcp.domain.text import clean, label, quoted
from positions_mcp.tools._arguments import CONTRACTS, DAY, KEY, PRICE

_MOST_MISTAKES = 5
_LONGEST_VALUE = 40
_FORMS = {
    DAY: "a day as YYYY-MM-DD, or today",
    CONTRACTS: 'a whole number of contracts as text, such as "1"',
    PRICE: 'a price as text, such as "200.50"',
    KEY: "text of 1 to 128 printable ASCII characters without spaces",
}
_ITEMS = {"string": "texts", "integer": "whole numbers", "boolean": "booleans"}
_OF_A_QUANTITY = "Whole positions only: a close takes neither a quantity nor a percentage."
_OF_A_PRICE = "Market orders only: no price, order type or time in force."
_OF_A_DECISION = "Nothing you pass decides: a person is asked."
_NOT_HERE_OF_A_CLOSE = {
    **dict.fromkeys(("quantity", "quantities", "qty", "shares", "contracts", "amount", "notional"), _OF_A_QUANTITY),
    **dict.fromkeys(("percent", "percentage", "pct", "fraction"), _OF_A_QUANTITY),
    **dict.fromkeys(
        ("price", "limit", "limit_price", "stop", "stop_price", "trail", "type", "order_type"), _OF_A_PRICE
    ),
    **dict.fromkeys(("time_in_force", "tif"), _OF_A_PRICE),
}
_DECIDING = ("confirm", "confirmed", "confirmation", "approve", "approved", "approval", "force", "yes")
Place = tuple[int | str, ...]


def argument_text(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Every mistake that validation found. Nothing was requested because of them."""
    return _said([_mistake(each, schema) for each in error.errors(include_url=False, include_context=False)])


def nulls_text(given: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What is wrong with nulls in the arguments of a tool that takes none; empty where there are none."""
    places = [place for place in _nulls(given, ()) if _at(schema, place)]
    return _said([_null(place, schema) for place in places]) if places else ""


def _said(mistakes: Sequence[str]) -> str:
    shown = list(mistakes[:_MOST_MISTAKES])
    if len(mistakes) > len(shown):
        shown.append(f"And {len(mistakes) - len(shown)} more.")
    return f"Invalid arguments. {' '.join(shown)} Nothing was sent by this call."


def _mistake(error: Any, schema: Mapping[str, Any]) -> str:
    place: Place = error["loc"]
    if error["type"] == "extra_forbidden":
        return _unknown(place, list(_at(schema, place[:-1]).get("properties", ())))
    form = _form(_at(schema, place))
    if error["type"] == "missing":
        return f"{_name(place)} is required: {form}."
    return f"{_name(place)}: {_value(error['input'])} was given. It takes {form}."


def _null(place: Place, schema: Mapping[str, Any]) -> str:
    is_optional = isinstance(place[-1], str) and place[-1] not in _at(schema, place[:-1]).get("required", ())
    hint = "; leave out what is not wanted" if is_optional else ""
    return f"{_name(place)}: null was given. It takes {_form(_at(schema, place))}{hint}."


def _unknown(place: Place, known: Sequence[str]) -> str:
    name = str(place[-1]).lower()
    if name in _DECIDING:
        return f"{_name(place)} is not an argument of this tool. {_OF_A_DECISION}"
    if "cancel_orders" in known and name in _NOT_HERE_OF_A_CLOSE:
        return f"{_name(place)} is not an argument of this tool. {_NOT_HERE_OF_A_CLOSE[name]}"
    near = similar(str(place[-1]), known)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
    return f"{_name(place)} is not an argument of this tool. {hint}"


def _name(place: Place) -> str:
    return label(".".join(map(str, place)) or "arguments", 80)


def _at(schema: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """What is published of the value at `place`; nothing where nothing is."""
    for step in place:
        schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
    return schema


def _nulls(value: Any, place: Place) -> Iterator[Place]:
    if value is None:
        yield place
    elif isinstance(value, dict | list):
        for step, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _nulls(each, (*place, step))


def _form(schema: Mapping[str, Any]) -> str:
    """What an argument takes, in words."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    match schema.get("type"):
        case "integer":
            return f"a whole number{_range(schema.get('minimum'), schema.get('maximum'))}"
        case "number":
            return "a number"
        case "boolean":
            return "true or false"
        case "array":
            size = _range(schema.get("minItems"), schema.get("maxItems")).removeprefix(" from").removeprefix(" of")
            return f"a list of{size} {_items(schema['items'])}"
        case "object":
            return f"an object with {', '.join(schema['properties'])}"
        case "string" if "pattern" in schema:
            return _FORMS[schema["pattern"]]
        case "string":
            return _text_form(schema.get("minLength"), schema.get("maxLength"))
    return "something else"


def _items(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if schema.get("type") == "object":
        return f"objects with {', '.join(schema['properties'])}"
    return _ITEMS[schema["type"]]


def _text_form(least: int | None, most: int | None) -> str:
    if most is not None:
        return f"text of {least or 0} to {most} characters"
    return "text that is not empty" if least else "text"


def _range(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}" if least else " that is not negative"
    return f" of at most {most}" if most is not None else ""


def _value(given: Any) -> str:
    """What was given, as JSON has it: short, and never as a Python object."""
    match given:
        case str():
            return quoted(given, _LONGEST_VALUE) if given else "an empty text"
        case list():
            return "an empty list" if not given else f"a list of {len(given)}"
        case dict():
            return "an object"
    try:
        return clean(json.dumps(given), _LONGEST_VALUE)
    except (TypeError, ValueError):
        return "something else"
