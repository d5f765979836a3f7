"""Listings over all their pages: followed to the end, without duplicates, and honest about contradictions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel

from positions_mcp.api import _failures
from positions_mcp.api._ordinary import Rows
from positions_mcp.api._requests import is_page_token
from positions_mcp.api._wire import Reply, RowReader
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.errors import InconsistentListing, Sent
from positions_mcp.domain.operation.records import Record, Response, UnreadableRow

RecordT = TypeVar("RecordT", bound=Record | Holding)


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as it came: where it is in the listing is known, its rows are not read yet."""

    reply: Reply
    ordinary: Rows | None
    """The rows, where they may be ordinary ones."""
    tolerantly: Callable[[], tuple[Reply, list[object]]]
    """The reply and its rows read as tolerantly as can be. Raises UpstreamError where they cannot be read at all."""


@dataclass(frozen=True, slots=True)
class RowIdentity(Generic[RecordT]):
    """When two rows of a listing are about the same thing, and when they then say the same of it."""

    identity: Callable[[RecordT], Hashable]
    content: Callable[[RecordT], Hashable]
    """What may not differ. Prices may: they move while pages are read."""
    may_repeat: bool = False
    """Whether an answer that has the same twice means no more than having it once."""
    are_kept: bool = False
    """Whether who reads the listing keeps its rows, so that keeping them here costs nothing."""


FetchPage = Callable[[str | None], Awaitable[RawPage]]
"""Fetches the page behind a token, the first one for None."""

_ROWS_AT_A_TIME = 250
"""Rows read tolerantly between two chances for other tasks."""
_TURNS_TO_SEND = 6
"""Turns of the event loop that the next page's request takes to get on its way over a kept connection."""


class Pages(AsyncIterator["Response[Sequence[RecordT]]"], Generic[RecordT]):
    """The pages of one listing, each a `Response` with its readable rows and its unreadable ones.

    Rows that an earlier page already had are left out. Entered with `async with` it reads ahead: the next page is
    fetched while the caller works on this one.

    Iterating raises UpstreamError where a page cannot be read, and at the end InconsistentListing if the pages
    contradict each other: a token leads back, a page brings nothing new and yet names another, the total changes
    under the listing, the rows are not as many as it says, or one comes twice with different content.

    Attributes:
        total: how many rows the API says the listing has, or None.
        received: distinct rows so far, those that are left out included.
        unreadable: rows so far that could not be read.
        of_others: rows so far that are of another account.
        seen: by their identities the distinct rows so far where they are kept, else what is left of them to compare.
    """

    def __init__(self, fetch: FetchPage, rows: RowReader[RecordT], sameness: RowIdentity[RecordT]) -> None:
        self._fetch = fetch
        self._rows = rows
        self._sameness = sameness
        self._tasks: anyio.abc.TaskGroup | None = None
        self._coming: _Coming | None = _Coming(fetch, None)
        self._tokens: set[str] = set()
        self.seen: dict[Any, Any] = {}
        self._position = 0
        self._contradiction: str | None = None
        self.request_id: str | None = None
        self.total: int | None = None
        self.received = 0
        self.unreadable = 0
        self.of_others = 0

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks:
            if kind is not None or self._coming:
                tasks.cancel_scope.cancel()
            # An error of the caller's own work is not the group's, so it is not wrapped into one.
            await tasks.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response[Sequence[RecordT]]:
        if self._coming is None:
            self._conclude()
            raise StopAsyncIteration
        coming, self._coming = self._coming, None
        page = await coming.page()
        self._start_next(page.reply.metadata.next_page_token)
        reply, records, unreadable = await self._read(page)
        new, repeated = self._new_among(records)
        arrived = len(records) + len(unreadable)
        self._account_for(reply, arrived=arrived, new=len(new) + repeated + len(unreadable))
        others = sum(1 for row in unreadable if row.of_account is not None)
        self.of_others += others
        self.unreadable += len(unreadable) - others
        return Response(
            data=new, error=reply.error, metadata=reply.metadata, status=reply.status, unreadable=tuple(unreadable)
        )

    def _start_next(self, token: str | None) -> None:
        if not token:
            return
        if token in self._tokens or not is_page_token(token):
            self._contradict("a page token leads back, or cannot be sent")
            return
        self._tokens.add(token)
        self._coming = _Coming(self._fetch, token)
        if self._tasks:
            self._coming.set_out(self._tasks)

    async def _read(self, page: RawPage) -> tuple[Reply, Sequence[RecordT], list[UnreadableRow]]:
        if self._tasks and self._coming:
            for _ in range(_TURNS_TO_SEND):
                await anyio.lowlevel.checkpoint()
        if page.ordinary is not None and (ordinary := self._rows.read_ordinary(page.ordinary)) is not None:
            self._position += len(ordinary)
            return page.reply, ordinary, []
        reply, rows = page.tolerantly()
        records: list[RecordT] = []
        unreadable: list[UnreadableRow] = []
        for start in range(0, len(rows), _ROWS_AT_A_TIME):
            await anyio.lowlevel.checkpoint()
            read, refused = self._rows.read(rows[start : start + _ROWS_AT_A_TIME], self._position + start)
            records += read
            unreadable += refused
        self._position += len(rows)
        return reply, records, unreadable

    def _new_among(self, records: Sequence[RecordT]) -> tuple[Sequence[RecordT], int]:
        """The records that had not come yet, and how many of the others count as one with those."""
        is_only_page = self._coming is None and not self.seen and not self._sameness.are_kept
        if is_only_page and len(set(map(self._sameness.identity, records))) == len(records):
            return records, 0
        here, before = list(map(self._sameness.identity, records)), len(self.seen)
        if self.seen.keys().isdisjoint(here):
            self.seen.update(zip(here, self._noted(records), strict=True))
            if len(self.seen) == before + len(records):
                return records, 0
            for identity in set(here):  # one comes twice on this page
                del self.seen[identity]
        new, repeated, earlier = [], 0, self.seen.copy()
        for record, noted in zip(records, self._noted(records), strict=True):
            identity = self._sameness.identity(record)
            if identity not in self.seen:
                self.seen[identity] = noted
                new.append(record)
            elif not self._is_same(self.seen[identity], noted):
                self._contradict("a row comes twice with different content")
            elif self._sameness.may_repeat and identity not in earlier:
                repeated += 1
        return new, repeated

    def _noted(self, records: Sequence[RecordT]) -> Iterable[Any]:
        """What is kept of records to compare later ones with."""
        # Hashes instead of what is kept by nobody else: a listing may have a hundred thousand rows.
        return records if self._sameness.are_kept else map(hash, map(self._sameness.content, records))

    def _is_same(self, noted: Any, later: Any) -> bool:
        content = self._sameness.content
        return content(noted) == content(later) if self._sameness.are_kept else noted == later

    def _account_for(self, reply: Reply, *, arrived: int, new: int) -> None:
        total = reply.metadata.total_items
        if total is not None:
            if self.total not in (None, total):
                self._contradict(f"the total changes from {self.total} to {total}")
            self.total = total
        elif self.total is None and new < arrived:
            self._contradict("a row comes twice")
        if self._coming and not new:
            self._contradict("a page brings nothing new and yet names another")
            self._coming = None
        self.received += new
        self.request_id = reply.metadata.request_id

    def _conclude(self) -> None:
        if self.total not in (None, self.received):
            self._contradict(f"the total is {self.total}, but {self.received} distinct rows came")
        if self._contradiction:
            raise InconsistentListing(
                f"The pages of the listing contradict each other: {self._contradiction}.",
                hint="It may have changed while it was read: list again.",
                sent=Sent.YES,
                status=200,
                request_id=self.request_id,
            )

    def _contradict(self, how: str) -> None:
        self._contradiction = self._contradiction or how


class Listing(AsyncIterator[RecordT], Generic[RecordT]):
    """The records of a listing one by one, over all pages.

    `async for` alone fetches a page when it is needed; inside `async with` the next page is fetched while the caller
    works on this one. Raises as `Pages` does, and at the end ReadFailed if there were rows that could not be read, or
    were of another account.

    Attributes:
        pages: the pages behind it, with totals and unreadable rows.
    """

    def __init__(self, pages: Pages[RecordT]) -> None:
        self.pages = pages
        self._page: Iterator[RecordT] = iter(())

    async def __aenter__(self) -> Self:
        await self.pages.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pages.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RecordT:
        while True:
            for record in self._page:
                return record
            try:
                self._page = iter((await anext(self.pages)).data)
            except StopAsyncIteration:
                if self.pages.unreadable or self.pages.of_others:
                    raise _failures.rows_left_out(
                        self.pages.unreadable, self.pages.of_others, self.pages.request_id
                    ) from None
                raise


class _Coming:
    """One page, fetched when it is wanted, or ahead of that once it has set out."""

    def __init__(self, fetch: FetchPage, token: str | None) -> None:
        self._fetch = fetch
        self._token = token
        self._here: anyio.Event | None = None
        self._page: RawPage | None = None
        self._error: Exception | None = None

    def set_out(self, tasks: anyio.abc.TaskGroup) -> None:
        self._here = anyio.Event()
        tasks.start_soon(self._arrive, self._here)

    async def _arrive(self, here: anyio.Event) -> None:
        try:
            self._page = await self._fetch(self._token)
        except Exception as error:  # it belongs to whoever asks for the page
            self._error = error
        finally:
            here.set()

    async def page(self) -> RawPage:
        if self._here is None:
            return await self._fetch(self._token)
        await self._here.wait()
        if self._page is None:
            raise self._error or RuntimeError("the page was given up")
        return self._page
