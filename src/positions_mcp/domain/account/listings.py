"""Listings kept for a while, so that every page of one listing comes from one consistent snapshot.

Rows are packed in a fraction of their memory: of a listing that is kept, a page is looked at now and then.
"""

from __future__ import annotations

import json
import re
import zlib
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from positions_mcp.domain.errors import CursorExpired, InvalidInput
from positions_mcp.domain.many import OnDemand, a_few_of

LIFETIME = timedelta(minutes=10)
MOST_KEPT = 8
MOST_BYTES = 150_000_000
"""Of the rows of all listings together, more or less."""
_ROW_BYTES = 1_500
"""What a row takes that is not packed."""

_CURSOR = re.compile(r"([0-9a-z]{12})-([1-9][0-9]{0,8})", re.ASCII)

RowT = TypeVar("RowT")
QuestionT = TypeVar("QuestionT")


class Packed(ABC):
    """Rows in less memory."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes that they take."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[QuestionT, RowT]):
    """The rows that answered one question, as they were when it was asked."""

    id: str
    question: QuestionT
    """What was asked, with the account: pages of a listing answer this and nothing else."""
    rows: Sequence[RowT]
    kept_until: datetime
    owner: str
    """Who asked: nobody else may go on with it."""

    @property
    def size(self) -> int:
        """Bytes that its rows take, more or less."""
        return self.rows.size if isinstance(self.rows, Packed) else _ROW_BYTES * len(self.rows)


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
    """The latest listings of each caller: at most eight of each, each for ten minutes, all in so much memory.

    A cursor names a listing and a place in it, and says nothing about either to who holds it. Where there is too much,
    the oldest of who has most is packed, and given up where it is packed already: nobody pushes out another's as long
    as that one has less. Rows that several listings share are in memory once, and packed for all of them.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        pack: Callable[[Sequence[RowT]], Sequence[RowT]] | None = None,
    ) -> None:
        self._now = now
        self._new_id = new_id
        self._pack = pack
        self._kept: OrderedDict[str, Listing[QuestionT, RowT]] = OrderedDict()

    def keep(self, question: QuestionT, rows: Sequence[RowT], *, owner: str, limit: int) -> Listing[QuestionT, RowT]:
        """Keep the answer to `question`; the oldest of the owner's gives way when there are too many.

        What fits on one page of `limit` rows has no cursor, and is not kept.
        """
        listing = Listing(name_from(self._new_id()), question, rows, self._now() + LIFETIME, owner)
        if len(listing.rows) > limit:
            self.sweep()
            self._kept[listing.id] = listing
            theirs = [each.id for each in self._kept.values() if each.owner == owner]
            for oldest in theirs[:-MOST_KEPT]:
                del self._kept[oldest]
            self._save_memory()
        return listing

    def sweep(self) -> None:
        """Give up what is kept no longer: called now and then, memory is given back also where nobody lists again."""
        for past in [each for each in self._kept.values() if each.kept_until <= self._now()]:
            del self._kept[past.id]

    def _save_memory(self) -> None:
        while sum({id(each.rows): each.size for each in self._kept.values()}.values()) > MOST_BYTES:
            sizes: Counter[str] = Counter()
            for each in self._kept.values():
                sizes[each.owner] += each.size
            (heaviest, _), *_ = sizes.most_common(1)
            theirs = [each for each in self._kept.values() if each.owner == heaviest]
            plain = next((each for each in theirs if not isinstance(each.rows, Packed)), None)
            if self._pack is not None and plain is not None:
                packed = self._pack(plain.rows)
                for each in [each for each in self._kept.values() if each.rows is plain.rows]:
                    self._kept[each.id] = replace(each, rows=packed)
            else:
                del self._kept[theirs[0].id]

    def resume(self, cursor: str, *, owner: str) -> tuple[Listing[QuestionT, RowT], int]:
        """The listing that `cursor` continues and the index of the row to go on with.

        Raises InvalidInput for what is no cursor of this program, CursorExpired where its listing is no longer kept.
        """
        name, start = place_of(cursor)
        listing = self._kept.get(name)
        if listing is None or listing.owner != owner or self._now() >= listing.kept_until:
            raise no_longer_kept()
        if start >= len(listing.rows):
            raise past_the_end()
        return listing, start


def name_from(identifier: str) -> str:
    """A listing's name: the last group of a UUID is random in every form of it that is, and what a test's ids vary."""
    return identifier.rsplit("-", 1)[-1]


def place_of(cursor: str) -> tuple[str, int]:
    """The name of a listing, and the row to go on with. Raises InvalidInput where it is no cursor of this program."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidInput("That is not a cursor of this server.", hint="Pass next_cursor exactly as it was given.")
    return match[1], int(match[2])


def no_longer_kept() -> CursorExpired:
    """That there is no such listing by now."""
    return CursorExpired(
        "The listing this cursor belongs to is no longer kept, or was listed by another tool.",
        hint="List again without a cursor; positions may have changed since.",
    )


def past_the_end() -> InvalidInput:
    """That there is no such row."""
    return InvalidInput("That cursor points past the end.", hint="Pass next_cursor exactly as it was given.")


def page_of(
    listing: Listing[QuestionT, RowT], start: int, limit: int, rows: Sequence[RowT] | None = None
) -> Page[RowT]:
    """At most `limit` rows of `listing` from index `start` on: `rows`, where they are at hand."""
    return page_from(
        listing.id, start, listing.rows[start : start + limit] if rows is None else rows, len(listing.rows)
    )


def page_from(name: str, start: int, rows: Sequence[RowT], total: int) -> Page[RowT]:
    """The page of these rows of a listing that has so many in all."""
    end = start + len(rows)
    return Page(tuple(rows), start, total, f"{name}-{end}" if end < total else None)


AT_A_TIME = 250
"""Rows that are packed, and unpacked, together: more than a page has."""
_FAST = 1

Row = Sequence[str]
"""What stands under each column of a listing."""


def as_text(row: Row) -> str:
    return json.dumps(list(row))


def unpacked(pack: bytes) -> list[Row]:
    rows: Any = json.loads(zlib.decompress(pack))
    return [[str(cell) for cell in row] for row in rows]


class PackedRows(OnDemand[Row], Packed):
    """Implements `Sequence`."""

    def __init__(self, texts: Iterable[str], count: int) -> None:
        some = a_few_of(texts, AT_A_TIME)
        self.packs = [zlib.compress(f"[{','.join(each)}]".encode(), _FAST) for each in some]
        self._count = count
        self._size = sum(map(len, self.packs))

    @classmethod
    def of(cls, rows: Sequence[Row]) -> PackedRows:
        """These, unless they are packed already."""
        return rows if isinstance(rows, cls) else cls(map(as_text, rows), len(rows))

    @property
    def size(self) -> int:
        return self._size

    def __len__(self) -> int:
        return self._count

    def made(self, wanted: range) -> Sequence[Row]:
        packs = {number: unpacked(self.packs[number]) for number in {each // AT_A_TIME for each in wanted}}
        return [packs[each // AT_A_TIME][each % AT_A_TIME] for each in wanted]
