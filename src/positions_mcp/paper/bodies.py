"""Reads JSON bodies as the API does: 400 for what is no JSON, 422 for JSON of another shape than asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.model import InstructionType

MOST_ROWS = 1000
LONGEST_KEY = 128
LONGEST_NUMBER = 30
_FIELDS = frozenset({"instruction_type", "instrument_id", "quantity"})
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_CALLED_A_KEY = re.compile(r"(id|key|ref|reference)$", re.ASCII | re.IGNORECASE)
_SAID = {
    "Expecting ':' delimiter": "expected `:`",
    "Expecting ',' delimiter": "expected `,` or the end of it",
    "Expecting value": "expected value",
    "Expecting property name enclosed in double quotes": "key must be a string",
    "Extra data": "trailing characters",
}


def json_body(body: bytes) -> Any:
    """A JSON document, with numbers kept exact. Raises Refusal: 400 if it is none."""
    try:
        text = body.decode("utf-8")
        found = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
        if "\\u" in text:
            # Half of a surrogate pair is no character: an answer could never repeat it.
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except json.JSONDecodeError as error:
        said = _SAID.get(error.msg, error.msg)
        raise _no_json(f"{said} at line {error.lineno} column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _no_json(str(error)[:120]) from error
    return found


def cancel_orders(body: bytes) -> bool:
    """Whether a close asks for open orders to be cancelled first. No body, a body of null, no field and null mean no.

    Raises Refusal: 400 if the body is no JSON, 422 if it is something else.
    """
    found = json_body(body) if body.strip() else None
    if found is None:
        return False
    if not isinstance(found, dict):
        raise _misshapen("invalid type, expected an object or null")
    wanted = found.get("cancel_orders")
    if wanted is not None and not isinstance(wanted, bool):
        raise _misshapen("cancel_orders: invalid type, expected a boolean", {"field": "cancel_orders"})
    return bool(wanted)


@dataclass(frozen=True, slots=True)
class SubmittedRow:
    """One row of a batch of instructions, well formed but not yet judged."""

    instruction_type: InstructionType
    instrument_id: str
    quantity: Decimal
    key: str | None


def submitted_rows(body: bytes, dialect: Dialect) -> list[SubmittedRow]:
    """The rows of a submission: a bare JSON array.

    Raises Refusal for the whole batch: 422 if a row has another shape, 400 if a value cannot be, or its key has a name
    that the contract does not know.
    """
    found = json_body(body)
    if not isinstance(found, list):
        raise _misshapen("invalid type, expected an array of instructions")
    if not 1 <= len(found) <= MOST_ROWS:
        raise Refusal(400, f"A batch has 1 to {MOST_ROWS} instructions, not {len(found)}")
    return [_row(number, row, dialect) for number, row in enumerate(found)]


def _row(number: int, row: object, dialect: Dialect) -> SubmittedRow:
    if not isinstance(row, dict):
        raise _misshapen(f"[{number}]: invalid type, expected an object", {"row": str(number)})
    kind = _required_text(number, row, "instruction_type")
    if kind not in InstructionType.__members__:
        expected = ", ".join(f"`{member}`" for member in InstructionType)
        raise _wrong_field(number, "instruction_type", f"unknown variant `{kind[:40]}`, expected one of {expected}")
    instrument = _required_text(number, row, "instrument_id")
    return SubmittedRow(InstructionType(kind), instrument, _quantity(number, row), _key(number, row, dialect))


def _key(number: int, row: Mapping[str, object], dialect: Dialect) -> str | None:
    """The caller's key. One under a name of another contract counts only where it repeats the right one."""
    known = dialect.key_fields
    given = {name: row[name] for name in known if row.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise _wrong_field(number, name, "invalid type, expected a string")
        if not 0 < len(value) <= LONGEST_KEY:
            raise _unusable(number, name, f"is a text of 1 to {LONGEST_KEY} characters")
    keys = {str(value) for value in given.values()}
    if len(keys) > 1:
        raise _unusable(number, known[-1], f"contradicts {known[0]}")
    for name, value in row.items():
        if name in _FIELDS or name in known or value is None:
            continue
        if not _CALLED_A_KEY.search(name):
            raise _wrong_field(number, name[:40], f"unknown field `{name[:40]}`")
        if not isinstance(value, str) or value not in keys:
            raise _unusable(
                number,
                name[:40],
                f"is not what this contract calls a key ({' or '.join(known)}): it would not prevent a duplicate",
            )
    return keys.pop() if keys else None


def _quantity(number: int, row: Mapping[str, object]) -> Decimal:
    text = _required_text(number, row, "quantity")
    # No exponent: written out, nine digits of it would fill the memory.
    if len(text) > LONGEST_NUMBER or not _DECIMAL.fullmatch(text):
        raise _unusable(number, "quantity", "is a decimal number as a text")
    value = Decimal(text)
    return whole if value == (whole := value.to_integral_value()) else value


def _required_text(number: int, row: Mapping[str, object], field: str) -> str:
    value = row.get(field)
    if field not in row:
        raise _misshapen(f"[{number}]: missing field `{field}`", {"row": str(number), "field": field})
    if not isinstance(value, str):
        raise _wrong_field(number, field, "invalid type, expected a string")
    if not value:
        raise _unusable(number, field, "is empty")
    return value


def _misshapen(what: str, *details: Mapping[str, object]) -> Refusal:
    return Refusal(422, f"Failed to deserialize the JSON body into the target type: {what}", details)


def _wrong_field(number: int, field: str, what: str) -> Refusal:
    return _misshapen(f"[{number}].{field}: {what}", {"row": str(number), "field": field})


def _unusable(number: int, field: str, what: str) -> Refusal:
    return Refusal(400, f"[{number}].{field} {what}; nothing was taken in", [{"row": str(number), "field": field}])


def _no_json(what: str) -> Refusal:
    return Refusal(400, f"Failed to parse the request body as JSON: {what}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
