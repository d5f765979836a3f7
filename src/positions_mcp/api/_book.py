"""A listing of positions, handed on page by page, and read once more where its pages contradict each other."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import anyio.to_thread

from positions_mcp.api._listing import Pages
from positions_mcp.api._ordinary import Rows, decode_holdings, read_holdings
from positions_mcp.domain.account.positions import Holding, HoldingT
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.errors import InconsistentListing
from positions_mcp.domain.many import OnDemand

if TYPE_CHECKING:
    from positions_mcp.ports import OnPage

_FAST = 1


class PackedPage(OnDemand[Holding]):
    """The positions of a page; once put away, they are made anew each time they are looked through.

    Decoded, a hundred thousand positions are 125 MB in a million small objects; compressed, a few MB in a hundred.
    """

    __slots__ = ("_count", "_held", "_rows")

    def __init__(self, rows: Rows, held: list[Holding]) -> None:
        self._rows: Rows | bytes = rows
        self._held: list[Holding] | None = held
        self._count = len(held)

    @classmethod
    def read(cls, rows: Rows) -> Self | None:
        """The positions of a page in brief; None where not all rows are ordinary."""
        held = read_holdings(rows)
        return None if held is None else cls(rows, held)

    def put_away(self) -> None:
        """Keep no positions from now on."""
        if self._held is not None:
            self._rows = zlib.compress(self._rows, _FAST)
            self._held = None

    def _positions(self) -> list[Holding]:
        held = self._held
        return decode_holdings()(zlib.decompress(self._rows)) if held is None else held

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._positions())

    def __len__(self) -> int:
        return self._count

    def made(self, wanted: range) -> Sequence[Holding]:
        """Those at these places."""
        held = self._positions()
        return [held[each] for each in wanted]


_MANY = 2_000
"""Rows of a listing of which whoever has looked at a page keeps it as text."""


class _Gathering(Protocol):
    def add(self, positions: Any) -> None: ...


GatheringT = TypeVar("GatheringT", bound=_Gathering)


async def gather(
    listing: Callable[[], Pages[HoldingT]],
    begin: Callable[[], GatheringT],
    now: Callable[[], datetime],
    on_page: OnPage | None,
) -> tuple[GatheringT, Reading]:
    """All pages of a `listing`, read one page ahead and added to what `begin` makes, with how they were read.

    Where the pages contradict each other, everything begins once more; if they still do, it is not `consistent`.
    """
    gathered, reading = await _once(listing(), begin(), now(), on_page)
    return (gathered, reading) if reading.consistent else await _once(listing(), begin(), now(), on_page)


async def _once(
    pages: Pages[HoldingT], gathering: GatheringT, as_of: datetime, on_page: OnPage | None
) -> tuple[GatheringT, Reading]:
    consistent = True
    async with pages:
        try:
            async for page in pages:
                gathering.add(page.data)
                if on_page:
                    await on_page(pages.received, pages.total)
                if isinstance(page.data, PackedPage) and max(pages.received, pages.total or 0) > _MANY:
                    await anyio.to_thread.run_sync(page.data.put_away)
        except InconsistentListing:
            consistent = False
    return gathering, Reading(
        as_of=as_of, consistent=consistent, unreadable=pages.unreadable, of_others=pages.of_others
    )
