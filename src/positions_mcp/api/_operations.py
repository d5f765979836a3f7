"""What the groups of operations share."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from positions_mcp.api._calls import Calls
from positions_mcp.api._exchange import Request
from positions_mcp.api._listing import Pages, RawPage, RowIdentity
from positions_mcp.api._wire import RowReader
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.operation.records import Record

if TYPE_CHECKING:
    from positions_mcp import ports

RecordT = TypeVar("RecordT", bound=Record | Holding)


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
