"""Identifiers with types of their own, and the checks that let nothing else into a request's path.

A hostile identifier is dangerous here: an HTTP library that normalises dot segments turns DELETE `/positions/.` into
DELETE `/positions`, which closes the whole account.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NewType

from pydantic import StringConstraints

from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier

if TYPE_CHECKING:
    LowerCase = str  # a type made of an annotated one is none that every type checker knows
else:
    LowerCase = Annotated[str, StringConstraints(to_lower=True)]
"""The text of an id. Records make it lower case when they are read, so that every spelling of a UUID compares equal."""

AccountId = NewType("AccountId", int)
"""An account number, positive."""
InstrumentId = NewType("InstrumentId", LowerCase)
"""A Clear Street instrument UUID, lower case."""
InstructionId = NewType("InstructionId", LowerCase)
"""The server's id of an instruction (not the caller's key): a UUID, lower case."""
OrderId = NewType("OrderId", LowerCase)
"""The server's id of an order: a UUID, lower case."""

NIL_UUID = "00000000-0000-0000-0000-000000000000"
"""The id of instruction rows that were refused before acceptance; never an id that can be used."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_LARGEST_ACCOUNT = 2**63 - 1


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in the hyphenated form, in either case."""
    return _UUID.fullmatch(text) is not None


def account_id(value: int) -> AccountId:
    """An account number that is safe in a path. Raises InvalidInput for anything but an integer from 1 to 2⁶³−1."""
    if type(value) is not int or not 0 < value <= _LARGEST_ACCOUNT:
        raise InvalidInput(
            f"{_shown(value)} is not an account number.", hint="An account number is a positive integer."
        )
    return AccountId(value)


def instrument_id(text: str) -> InstrumentId:
    """An instrument UUID that is safe in a path. Raises UnsafeIdentifier for anything else."""
    return InstrumentId(_checked_uuid(text, "instrument id"))


def instruction_id(text: str) -> InstructionId:
    """A server-assigned instruction id that is safe in a path. Raises UnsafeIdentifier for anything else."""
    return InstructionId(_checked_uuid(text, "instruction id"))


def order_id(text: str) -> OrderId:
    """A server-assigned order id that is safe in a path. Raises UnsafeIdentifier for anything else."""
    return OrderId(_checked_uuid(text, "order id"))


def _checked_uuid(text: object, what: str) -> str:
    if not isinstance(text, str) or not is_uuid(text):
        raise UnsafeIdentifier(f"{_shown(text)} is not an {what}.", hint=f"An {what} is a UUID.")
    if text == NIL_UUID:
        raise UnsafeIdentifier(f"The nil UUID is not an {what}.", hint="Rows refused before acceptance carry it.")
    return text.lower()


def _shown(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # an integer too long to be written out
        return "That"
