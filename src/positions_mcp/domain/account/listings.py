"""Listings kept for a while, so that every page of one listing comes from one consistent snapshot."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from positions_mcp.domain.errors import CursorExpired, InvalidInput

LIFETIME = timedelta(minutes=10)
MOST_KEPT = 8

_CURSOR = re.compile(r"([0-9a-z]{12})-([1-9][0-9]{0,8})", re.ASCII)

RowT = TypeVar("RowT")
QuestionT = TypeVar("QuestionT")


@dataclass(frozen=True, slots=True)
class Listing(Generic[QuestionT, RowT]):
    """The rows that answered one question, as they were when it was asked."""

    id: str
    question: QuestionT
    """What was asked, with the account: pages of a listing answer this and nothing else."""
    rows: tuple[RowT, ...]
    kept_until: datetime
    owner: str
    """Who asked: nobody else may go on with it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Some rows of a listing; `start` counts from 0 and `next_cursor` is None on the last page."""

    rows: tuple[RowT, ...]
    start: int
    total: int
    next_cursor: str | None

    @property
    def end(self) -> int:
        """Index after the last row shown."""
        return self.start + len(self.rows)


class Listings(Generic[QuestionT, RowT]):
    """The latest listings of each caller: at most eight of each, each for ten minutes.

    A cursor names a listing and a place in it, and says nothing about either to who holds it.
    """

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._now = now
        self._new_id = new_id
        self._kept: OrderedDict[str, Listing[QuestionT, RowT]] = OrderedDict()

    def keep(self, question: QuestionT, rows: Sequence[RowT], *, owner: str, limit: int) -> Listing[QuestionT, RowT]:
        """Keep the answer to `question`; the oldest of the owner's gives way when there are too many.

        What fits on one page of `limit` rows has no cursor, and is not kept.
        """
        # The last group of a UUID is random in every form of it that is, and the whole of what a test's ids vary.
        name = self._new_id().rsplit("-", 1)[-1]
        listing = Listing(name, question, tuple(rows), self._now() + LIFETIME, owner)
        if len(listing.rows) > limit:
            for past in [each for each in self._kept.values() if each.kept_until <= self._now()]:
                del self._kept[past.id]
            self._kept[listing.id] = listing
            theirs = [each.id for each in self._kept.values() if each.owner == owner]
            for oldest in theirs[:-MOST_KEPT]:
                del self._kept[oldest]
        return listing

    def resume(self, cursor: str, *, owner: str) -> tuple[Listing[QuestionT, RowT], int]:
        """The listing that `cursor` continues and the index of the row to go on with.

        Raises:
            InvalidInput: not a cursor of this program.
            CursorExpired: its listing is no longer kept.
        """
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise InvalidInput("That is not a cursor of this server.", hint="Pass next_cursor exactly as it was given.")
        listing = self._kept.get(match[1])
        if listing is None or listing.owner != owner or self._now() >= listing.kept_until:
            raise CursorExpired(
                "The listing this cursor belongs to is no longer kept.",
                hint="List again without a cursor; positions may have changed since.",
            )
        start = int(match[2])
        if start >= len(listing.rows):
            raise InvalidInput("That cursor points past the end.", hint="Pass next_cursor exactly as it was given.")
        return listing, start


def page_of(listing: Listing[QuestionT, RowT], start: int, limit: int) -> Page[RowT]:
    """At most `limit` rows of `listing` from index `start` on."""
    rows = listing.rows[start : start + limit]
    end = start + len(rows)
    more = end < len(listing.rows)
    return Page(rows, start, len(listing.rows), f"{listing.id}-{end}" if more else None)
