"""Reads requests: query strings, paths and JSON bodies, strictly, with the API's 400 for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.model import InstructionType
from positions_mcp.paper.paging import LARGEST_SIZE
from positions_mcp.paper.symbols import as_uuid

MOST_ROWS = 1000
LONGEST_KEY = 128
LONGEST_NUMBER = 30
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


class Query:
    """The query string of a request. A parameter may be given once; lists are one comma-joined value."""

    def __init__(self, query_string: bytes) -> None:
        self._values: dict[str, str] = {}
        try:
            pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError as error:
            raise Refusal(400, "the query string is malformed") from error
        for name, value in pairs:
            if name in self._values:
                raise Refusal(400, f"{name} is given twice; join several values with commas")
            self._values[name] = value

    def only(self, known: AbstractSet[str]) -> None:
        """Refuses every parameter that is not among the known ones: a filter is honoured, or it is an error."""
        if unknown := sorted(set(self._values) - known):
            allowed = ", ".join(sorted(known)) or "none"
            raise Refusal(400, f"{unknown[0]:.40} is no parameter of this operation; there are: {allowed}")

    def text(self, name: str) -> str | None:
        """A value as it is; None if absent."""
        return self._values.get(name)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number between two bounds."""
        value = self._values.get(name)
        if value is None:
            return None
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
        if not least <= number <= most:
            raise Refusal(400, f"{name} is a whole number from {least} to {most}")
        return number

    def one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        """A value of an enum."""
        value = self._values.get(name)
        if value is not None and value not in allowed:
            raise Refusal(400, f"{name} is one of {', '.join(allowed)}")
        return value

    def several(self, name: str) -> list[str] | None:
        """The parts of a comma-joined value; none of them may be empty."""
        value = self._values.get(name)
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",")]
        if not all(parts):
            raise Refusal(400, f"{name} has an empty value")
        return parts

    def instant(self, name: str) -> datetime | None:
        """An ISO 8601 instant; without a zone it is UTC."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        except ValueError:
            raise Refusal(400, f"{name} is a date and time in ISO 8601") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def page(self) -> tuple[int | None, str | None]:
        """The parameters of paging: `page_size` (ignored beside a token) and `page_token`."""
        token = self.text("page_token")
        return (None if token is not None else self.whole("page_size", 1, LARGEST_SIZE)), token


def account_number(text: str) -> int:
    """The account of a path.

    Raises:
        Refusal: 400 if it is no account number.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refusal(400, "account_id is a whole number")
    return int(text)


def uuids_only(name: str, values: Sequence[str] | None, dialect: Dialect) -> Sequence[str] | None:
    """In the seed, instruments are filtered by UUID; symbols are accepted there only in the current dialect."""
    if values and not dialect.is_current and not all(as_uuid(value) for value in values):
        raise Refusal(400, f"{name} are instrument UUIDs, joined by commas")
    return values


def json_body(body: bytes) -> Any:
    """A JSON document, with numbers kept exact.

    Raises:
        Refusal: 400 if it is none.
    """
    try:
        text = body.decode("utf-8")
        found = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
        if "\\u" in text:
            # Half of a surrogate pair is no character: an answer could never repeat it.
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not valid JSON: {str(error)[:120]}") from error
    return found


def cancel_orders(body: bytes) -> bool:
    """Whether a close asks for open orders to be cancelled first. No body, no field and null mean no."""
    if not body.strip():
        return False
    found = json_body(body)
    if not isinstance(found, dict):
        raise Refusal(400, "the body is a JSON object")
    wanted = found.get("cancel_orders")
    if wanted is not None and not isinstance(wanted, bool):
        raise Refusal(400, "cancel_orders is true or false", [{"field": "cancel_orders"}])
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

    Raises:
        Refusal: 400 for the whole batch if a row is malformed or its quantity cannot be encoded.
    """
    found = json_body(body)
    if not isinstance(found, list):
        raise Refusal(400, "the body is a JSON array of instructions")
    if not 1 <= len(found) <= MOST_ROWS:
        raise Refusal(400, f"a batch has 1 to {MOST_ROWS} instructions, not {len(found)}")
    return [_row(number, row, dialect) for number, row in enumerate(found)]


def _row(number: int, row: object, dialect: Dialect) -> SubmittedRow:
    if not isinstance(row, dict):
        raise _wrong(number, "", "an instruction is a JSON object")
    kind = _required_text(number, row, "instruction_type")
    if kind not in InstructionType.__members__:
        raise _wrong(number, "instruction_type", f"is one of {', '.join(InstructionType)}")
    key = row.get(dialect.key_field)
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= LONGEST_KEY):
        raise _wrong(number, dialect.key_field, f"is a text of 1 to {LONGEST_KEY} characters")
    return SubmittedRow(
        InstructionType(kind), _required_text(number, row, "instrument_id"), _quantity(number, row), key
    )


def _quantity(number: int, row: Mapping[str, object]) -> Decimal:
    text = _required_text(number, row, "quantity")
    # No exponent: written out, nine digits of it would fill the memory.
    if len(text) > LONGEST_NUMBER or not _DECIMAL.fullmatch(text):
        raise _wrong(number, "quantity", "is a decimal number as a text")
    value = Decimal(text)
    return whole if value == (whole := value.to_integral_value()) else value


def _required_text(number: int, row: Mapping[str, object], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value:
        raise _wrong(number, field, "is required, as a text")
    return value


def _wrong(number: int, field: str, what: str) -> Refusal:
    return Refusal(
        400, f"instructions[{number}].{field} {what}".replace(". ", ": "), [{"row": str(number), "field": field}]
    )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
