"""Where listings are kept between their pages: in this process, or in the store that several servers share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import ClassVar, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from positions_mcp.domain.account.listings import (
    AT_A_TIME,
    Listings,
    PackedRows,
    Page,
    Row,
    name_from,
    no_longer_kept,
    page_from,
    page_of,
    past_the_end,
    place_of,
    unpacked,
)
from positions_mcp.domain.errors import CursorExpired, StoreUnavailable
from positions_mcp.domain.many import OnDemand
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports.beside import ListingStore, StoredListing
from positions_mcp.tools._turns import beside_others

_MOST_PLAIN = 2_000
"""Rows of a listing that are kept as they are; more are packed at once."""
_PATIENCE_S = 1.0
"""How long who lists waits for the store: what only reads goes on without it."""
_LEFT_ALONE_S = 15.0
"""How long a store that did not answer is not asked to keep anything."""

_log = logging.getLogger(__name__)


class Listed(BaseModel):
    """The base of what the pages of a listing have in common: the question that they answer, and no other."""

    model_config = ConfigDict(defer_build=True)

    tool: ClassVar[str]
    limit: int
    """Rows of a page, where a later one does not say."""


ListedT = TypeVar("ListedT", bound=Listed)
T = TypeVar("T")


class LazyRows(OnDemand[Row], Generic[T]):
    """Rows, of what they are about."""

    def __init__(self, about: Sequence[T], draw: Callable[[T], Row]) -> None:
        self._about, self._draw = about, draw

    def __len__(self) -> int:
        return len(self._about)

    def made(self, wanted: range) -> Sequence[Row]:
        return [self._draw(self._about[each]) for each in wanted]


class KeptListings(Protocol):
    """Keeps what answered a question, for the next pages of it: the same rows, for who asked and nobody else."""

    async def keep(self, listed: Listed, rows: Sequence[Row], *, owner: str) -> Page[Row]:
        """The first page; its cursor goes on. What fits on it is not kept."""

    async def resume(
        self, cursor: str, kind: type[ListedT], *, owner: str, limit: int | None
    ) -> tuple[ListedT, Page[Row]]:
        """The question and the page behind a cursor, of so many rows as it says or else as the first one has.

        Raises InvalidInput, and CursorExpired where it is not kept.
        """

    def sweep(self) -> None:
        """Give up what is kept no longer."""


@dataclass(frozen=True, slots=True)
class ListingsInMemory:
    """Implements `KeptListings` in this process."""

    listings: Listings[Listed, Row]

    async def keep(self, listed: Listed, rows: Sequence[Row], *, owner: str) -> Page[Row]:
        first = rows[: listed.limit]
        if len(rows) > max(listed.limit, _MOST_PLAIN):
            rows = await beside_others(len(rows), partial(PackedRows.of, rows))
        listing = self.listings.keep(listed, rows, owner=_owner(type(listed), owner), limit=listed.limit)
        return page_of(listing, 0, listed.limit, first)

    async def resume(
        self, cursor: str, kind: type[ListedT], *, owner: str, limit: int | None
    ) -> tuple[ListedT, Page[Row]]:
        listing, start = self.listings.resume(cursor, owner=_owner(kind, owner))
        if not isinstance(listing.question, kind):
            raise no_longer_kept()
        return listing.question, page_of(listing, start, limit or listing.question.limit)

    def sweep(self) -> None:
        self.listings.sweep()


@dataclass(slots=True)
class ListingsInStore:
    """Implements `KeptListings` for all servers of a store. While it cannot be reached, this process keeps them."""

    store: ListingStore
    here: ListingsInMemory
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    _asked_again_at: float = field(default=float("-inf"))

    async def keep(self, listed: Listed, rows: Sequence[Row], *, owner: str) -> Page[Row]:
        if len(rows) > listed.limit and anyio.current_time() >= self._asked_again_at:
            name, whose = name_from(self.new_id()), _owner(type(listed), owner)
            if await self._stored(partial(self._store, name, whose, listed, rows)):
                return page_from(name, 0, rows[: listed.limit], len(rows))
        return await self.here.keep(listed, rows, owner=owner)

    async def resume(
        self, cursor: str, kind: type[ListedT], *, owner: str, limit: int | None
    ) -> tuple[ListedT, Page[Row]]:
        try:
            return await self.here.resume(cursor, kind, owner=owner, limit=limit)
        except CursorExpired:
            name, start = place_of(cursor)
        packs = range(start // AT_A_TIME, start // AT_A_TIME + 2)
        found = await in_thread(self.store.listing, name, _owner(kind, owner), packs, self.now())
        if found is None:
            raise no_longer_kept()
        if start >= found.rows:
            raise past_the_end()
        try:
            listed = kind.model_validate_json(found.asked)
        except ValidationError as error:  # a server of another release kept it
            raise no_longer_kept() from error
        first = start % AT_A_TIME
        rows = [row for pack in found.packs for row in unpacked(pack)][first : first + (limit or listed.limit)]
        return listed, page_from(name, start, rows, found.rows)

    def sweep(self) -> None:
        self.here.sweep()

    def _store(self, name: str, owner: str, listed: Listed, rows: Sequence[Row]) -> None:
        kept = StoredListing(
            name, owner, listed.model_dump_json(exclude_none=True), len(rows), PackedRows.of(rows).packs
        )
        self.store.keep_listing(kept, self.now())

    async def _stored(self, work: Callable[[], None]) -> bool:
        """Whether it was kept in time. What comes later is kept as well, and does no harm."""
        try:
            with anyio.fail_after(_PATIENCE_S):
                await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning(
                "further pages of a listing are kept in this process alone: %s", str(error) or "no answer in time"
            )
            self._asked_again_at = anyio.current_time() + _LEFT_ALONE_S
            return False
        return True


def _owner(kind: type[Listed], owner: str) -> str:
    return f"{kind.tool} {owner}"
