"""Where listings are kept between their pages: what tools know of it, and the memory of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol

from positions_mcp.domain.account.listings import Listings, Page, QuestionT, RowT, page_of
from positions_mcp.tools._turns import beside_others

_MOST_PLAIN = 2_000
"""Rows of a listing that are kept as they are; more are packed at once."""


class KeptListings(Protocol[QuestionT, RowT]):
    """Keeps what answered a question, for the next pages of it: the same rows, for who asked and nobody else."""

    async def keep(self, question: QuestionT, rows: Sequence[RowT], *, owner: str, limit: int) -> Page[RowT]:
        """The first page; its cursor goes on. What fits on it is not kept."""
        ...

    async def resume(
        self, cursor: str, *, owner: str, limit: Callable[[QuestionT], int]
    ) -> tuple[QuestionT, Page[RowT]]:
        """The question and the page behind a cursor. Raises InvalidInput, and CursorExpired where it is not kept."""
        ...

    def sweep(self) -> None:
        """Give up what is kept no longer."""
        ...


@dataclass(frozen=True, slots=True)
class ListingsInMemory(Generic[QuestionT, RowT]):
    """Implements `KeptListings` in this process."""

    listings: Listings[QuestionT, RowT]
    pack: Callable[[Sequence[RowT]], Sequence[RowT]]

    async def keep(self, question: QuestionT, rows: Sequence[RowT], *, owner: str, limit: int) -> Page[RowT]:
        """As the protocol says."""
        first = rows[:limit]
        if len(rows) > max(limit, _MOST_PLAIN):
            rows = await beside_others(len(rows), partial(self.pack, rows))
        listing = self.listings.keep(question, rows, owner=owner, limit=limit)
        return page_of(listing, 0, limit, first)

    async def resume(
        self, cursor: str, *, owner: str, limit: Callable[[QuestionT], int]
    ) -> tuple[QuestionT, Page[RowT]]:
        """As the protocol says."""
        listing, start = self.listings.resume(cursor, owner=owner)
        return listing.question, page_of(listing, start, limit(listing.question))

    def sweep(self) -> None:
        """As the protocol says."""
        self.listings.sweep()
