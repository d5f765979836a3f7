"""What the groups of operations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from positions_mcp.api._calls import Calls
from positions_mcp.api._http import Request
from positions_mcp.api._listing import Pages, Sameness
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
        request: Callable[[str | None], Request],
        rows: RowReader[RecordT],
        sameness: Sameness[RecordT],
        timeout_s: float | None = None,
    ) -> Pages[RecordT]:
        request(None)  # what is wrong with the arguments is said here, not at the first page
        return Pages(lambda token: self._calls.read_page(request(token), rows, timeout_s=timeout_s), rows, sameness)
