"""From bytes to a JSON document whose numbers are exact, and none so large that handling it would stop the program."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from positions_mcp.domain.money import is_sensible

_LONGEST_INTEGER = 100


def decode(body: bytes) -> object:
    """The JSON document, or a `str` saying why there is none. A JSON text alone is no document of this API either."""
    if not body.strip():
        return "the body is empty"
    try:
        document = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except RecursionError:
        return "the body is nested too deeply"
    except ValueError:
        return "the body is not JSON"
    return "the body is JSON but not an object" if isinstance(document, str) else document


def exact_number(literal: str) -> Decimal | str:
    """The number; one beyond any sense stays the text that it is: as an integer it would fill the memory."""
    try:
        number = Decimal(literal)
    except InvalidOperation:
        return literal
    return number if is_sensible(number) else literal


def _exact_integer(literal: str) -> int | str:
    return int(literal) if len(literal) <= _LONGEST_INTEGER else literal


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_float=exact_number, parse_int=_exact_integer, parse_constant=_refuse_constant)
"""One for all: each that is made leaves names behind in the interpreter's cache, and these, made between the rows of a
large book, would keep all of its memory."""
