"""How a listing of an account's positions was read, and what is therefore not known.

What could not be found out is a value: no reading that is optional may stop anything.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.operation.records import said_of_left_out


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a listing of an account's positions was read.

    `consistent` is False when pages contradicted each other even after reading again, `unreadable` counts rows that
    were not positions, and `of_others` rows of another account, which are left out: with any of these, what the
    account holds is not fully known.
    """

    as_of: datetime
    consistent: bool = True
    unreadable: int = 0
    of_others: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether this is known to be everything the account holds."""
        return self.consistent and not self.unreadable and not self.of_others

    @property
    def doubts(self) -> list[str]:
        """What is known to be wrong with it, in words; nothing for a complete one."""
        words = said_of_left_out(self.unreadable, self.of_others)
        if not self.consistent:
            words.append(
                "the API's pages contradicted each other even when read again; this may not be everything held"
            )
        return words


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NotKnown:
    """`what` could not be read; `reason` says why in the words of the error."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} not known: {self.reason}"


async def known(what: str, reading: Awaitable[T] | None) -> T | NotKnown:
    """What `reading` brings, or that it is not known: the API refused it or stayed silent, or None can read it."""
    if reading is None:
        return NotKnown(what, "this server does not read it.")
    try:
        return await reading
    except UpstreamError as error:
        return NotKnown(what, error.message)
