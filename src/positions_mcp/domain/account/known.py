"""What could not be found out, as a value: no reading that is optional may stop anything."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from positions_mcp.domain.errors import UpstreamError

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
