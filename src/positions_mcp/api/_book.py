"""A listing of positions, handed on page by page, and read once more where its pages contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio.to_thread

from positions_mcp.api._listing import Pages
from positions_mcp.api._packed_pages import PackedPage
from positions_mcp.domain.account.positions import HoldingT
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.errors import InconsistentListing

if TYPE_CHECKING:
    from positions_mcp.ports import OnPage


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
