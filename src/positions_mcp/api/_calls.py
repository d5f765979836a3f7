"""Calls: a request in, the documented type or an error of the tree out. Reads ask again, writes do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from positions_mcp.api import _failures
from positions_mcp.api._exchange import Answer, Failure, Request
from positions_mcp.api._http import Connection
from positions_mcp.api._listing import Pages, RawPage, RowIdentity
from positions_mcp.api._retry import ReadBudget, RetryResult, seconds
from positions_mcp.api._wire import Reply, RowReader, read_ordinary_page, read_record, read_reply
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.operation.records import Record, Response

if TYPE_CHECKING:
    from positions_mcp import ports

RecordT = TypeVar("RecordT", bound=Record | Holding)


class Calls:
    """What the operations share: asking within the budget, sending once, and judging what came back.

    `who` is asked stands in errors. `timeout_s`, in seconds, replaces the budget of one read, or the time-out of one
    write.
    """

    def __init__(
        self, who: str, connection: Connection, budget: ReadBudget, write_timeout_s: float, now: Callable[[], datetime]
    ) -> None:
        self._who = who
        self._connection = connection
        self._budget = budget
        self._write_timeout_s = write_timeout_s
        self._now = now

    async def read_page(self, request: Request, rows: RowReader[RecordT], *, timeout_s: float | None = None) -> RawPage:
        """One page of a listing, its rows not read yet. A null list counts as empty only where the total is 0."""
        asked, answer = await self._ask(request, timeout_s)

        def tolerantly() -> tuple[Reply, list[object]]:
            reply = self._usable(asked, read_reply(answer))
            if isinstance(reply.data, list):
                return reply, reply.data
            if reply.data is None and reply.error is None and reply.metadata.total_items == 0:
                return reply, []
            raise _failures.read_refusal(self._who, asked, reply, self._now())

        if rows.reads_ordinary_pages and (ordinary := read_ordinary_page(answer)):
            return RawPage(*ordinary, tolerantly)
        reply, raw = tolerantly()
        return RawPage(reply, None, lambda: (reply, raw))

    async def read_rows(
        self, request: Request, rows: RowReader[RecordT], *, timeout_s: float | None = None
    ) -> Response[list[RecordT]]:
        """One page of a listing, read."""
        page = await self.read_page(request, rows, timeout_s=timeout_s)
        if page.ordinary is not None and (records := rows.read_ordinary(page.ordinary)) is not None:
            return Response(data=records, metadata=page.reply.metadata, status=page.reply.status)
        return _rows_response(*page.tolerantly(), rows)

    async def read_one(
        self, request: Request, kind: type[RecordT], *, timeout_s: float | None = None
    ) -> Response[RecordT]:
        """One record."""
        asked, answer = await self._ask(request, timeout_s)
        reply = self._usable(asked, read_reply(answer))
        record = read_record(kind, reply.data)
        if isinstance(record, str):
            raise _failures.read_refusal(self._who, asked, reply, self._now())
        return _response(reply, record)

    async def write_rows(
        self, request: Request, rows: RowReader[RecordT], *, timeout_s: float | None = None
    ) -> Response[list[RecordT]]:
        """Send once; the answer's rows. A refusal that carries rows is none: some of it may have taken effect."""
        reply = await self._write(request, timeout_s)
        if reply.is_success and isinstance(reply.data, list):
            return _rows_response(reply, reply.data, rows)
        raise _failures.write_refusal(self._who, reply, self._now(), has_no_effect=not reply.data)

    async def submit_rows(
        self, request: Request, rows: RowReader[RecordT], *, timeout_s: float | None = None
    ) -> Response[list[RecordT]]:
        """Send a batch once; the answer's rows, which a refusal of all of them may carry too."""
        reply = await self._write(request, timeout_s)
        may_carry_rows = reply.is_success or reply.status >= 400
        if isinstance(reply.data, list) and may_carry_rows and (reply.data or reply.is_success):
            return _rows_response(reply, reply.data, rows)
        raise _failures.write_refusal(self._who, reply, self._now(), clearing_may_be_unavailable=True)

    async def write_one(
        self, request: Request, kind: type[RecordT], *, timeout_s: float | None = None
    ) -> Response[RecordT]:
        """Send once; the answer's one record."""
        reply = await self._write(request, timeout_s)
        record = read_record(kind, reply.data)
        if not reply.is_success or isinstance(record, str):
            raise _failures.write_refusal(self._who, reply, self._now())
        return _response(reply, record)

    async def _ask(self, request: Request, timeout_s: float | None) -> tuple[RetryResult, Answer]:
        asked = await self._budget.spend(
            f"{request.method} {request.path}",
            lambda limit: self._connection.exchange(request, timeout_s=limit),
            None if timeout_s is None else seconds(timeout_s, "timeout_s"),
        )
        if isinstance(asked.outcome, Failure):
            raise _failures.read_failure(self._who, asked, asked.outcome)
        return asked, asked.outcome

    def _usable(self, asked: RetryResult, reply: Reply) -> Reply:
        if not reply.is_success or reply.flaw:
            raise _failures.read_refusal(self._who, asked, reply, self._now())
        return reply

    async def _write(self, request: Request, timeout_s: float | None) -> Reply:
        limit = self._write_timeout_s if timeout_s is None else seconds(timeout_s, "timeout_s")
        outcome = await self._connection.exchange(request, timeout_s=limit, fresh=True)
        if isinstance(outcome, Failure):
            raise _failures.write_failure(outcome)
        return read_reply(outcome)


def _rows_response(reply: Reply, raw: list[object], rows: RowReader[RecordT]) -> Response[list[RecordT]]:
    records, unreadable = rows.read(raw)
    return Response(
        data=records, error=reply.error, metadata=reply.metadata, status=reply.status, unreadable=tuple(unreadable)
    )


def _response(reply: Reply, record: RecordT) -> Response[RecordT]:
    return Response(data=record, error=reply.error, metadata=reply.metadata, status=reply.status)


class Operations:
    """A group of the client's operations."""

    _calls: Calls
    _clock: ports.Clock

    def _pages(
        self,
        first: Request,
        rows: RowReader[RecordT],
        sameness: RowIdentity[RecordT],
        timeout_s: float | None = None,
    ) -> Pages[RecordT]:
        """The pages of a listing, from its first one on: filters and sort go into the request for each."""

        def fetch(token: str | None) -> Awaitable[RawPage]:
            page = replace(first, query={**(first.query or {}), "page_token": token}) if token else first
            return self._calls.read_page(page, rows, timeout_s=timeout_s)

        return Pages(fetch, rows, sameness)
