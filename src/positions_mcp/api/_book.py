"""A book from one listing of positions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from positions_mcp.api._listing import Pages
from positions_mcp.domain.errors import InconsistentListing
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.positions import Book, Position

if TYPE_CHECKING:
    from positions_mcp.ports import OnPage


async def gather_book(
    pages: Pages[Position], account_id: AccountId, as_of: datetime, on_page: OnPage | None = None
) -> Book:
    """What `pages` hold, read one page ahead; not `consistent` where they contradict each other."""
    positions: list[Position] = []
    consistent = True
    async with pages:
        try:
            async for page in pages:
                positions += page.data
                if on_page:
                    await on_page(pages.received, pages.total)
        except InconsistentListing:
            consistent = False
    return Book(
        account_id=account_id,
        positions=tuple(positions),
        as_of=as_of,
        consistent=consistent,
        unreadable=pages.unreadable,
    )
