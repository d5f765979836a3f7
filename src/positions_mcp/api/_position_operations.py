"""Operations on positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from positions_mcp.api import _requests
from positions_mcp.api._book import gather
from positions_mcp.api._http import Request
from positions_mcp.api._listing import Listing, Pages, Sameness
from positions_mcp.api._operations import Operations
from positions_mcp.api._order_operations import ORDERS, distinct
from positions_mcp.api._ordinary import read_holdings
from positions_mcp.api._wire import RowReader
from positions_mcp.domain import ids
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Holding, Position, Whole
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.enums import PositionSortKey, SortDirection
from positions_mcp.domain.operation.records import Response

if TYPE_CHECKING:
    from positions_mcp import ports

_INSTRUMENT: Sameness[Any] = Sameness(
    attrgetter("instrument_id"), attrgetter("quantity", "available_quantity", "symbol", "position_type")
)
_IN_A_BOOK = replace(_INSTRUMENT, are_kept=True)
_HOLDINGS: RowReader[Holding] = RowReader(Position, read_holdings)


class PositionOperations(Operations):
    """Positions: reading and closing them."""

    _positions: RowReader[Position]
    _book_rows: RowReader[Position]

    async def get_positions(
        self,
        account_id: int,
        *,
        instrument_ids: Sequence[str] = (),
        sort_by: PositionSortKey | str | None = None,
        sort_direction: SortDirection | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout_s: float | None = None,
    ) -> Response[list[Position]]:
        """One page of the account's positions: GET `/v1/accounts/{account_id}/positions`.

        `metadata.next_page_token` names the next page; the same filters and sort have to be given with it.
        `page_size` is 1 to 1000, by default 1000. Rows that are no positions, or are of another account,
        are in `unreadable`.
        """
        request = _requests.positions(
            account_id,
            instrument_ids=instrument_ids,
            sort_by=sort_by,
            sort_direction=sort_direction,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls.read_rows(request, self._positions.of(account_id), timeout_s=timeout_s)

    def iter_positions(
        self,
        account_id: int,
        *,
        instrument_ids: Sequence[str] = (),
        sort_by: PositionSortKey | str | None = None,
        sort_direction: SortDirection | str | None = None,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Listing[Position]:
        """All positions, over every page, with the filters and the sort sent for each.

        ```python
        async with client.iter_positions(19816) as positions:  # reads one page ahead
            async for position in positions: ...
        ```

        `async for position in client.iter_positions(19816)` works as well, one page after another; `.pages` has the
        pages. See `Listing` and `Pages` for what they raise.
        """

        def request(token: str | None) -> Request:
            return _requests.positions(
                account_id,
                instrument_ids=instrument_ids,
                sort_by=sort_by,
                sort_direction=sort_direction,
                page_size=page_size,
                page_token=token,
            )

        return Listing(self._pages(request, self._positions.of(account_id), _INSTRUMENT, timeout_s))

    async def read_book(
        self,
        account_id: int,
        *,
        instrument_ids: Sequence[str] = (),
        on_page: ports.OnPage | None = None,
    ) -> Book:
        """All positions of the account, or those of the named instruments, as one book.

        If its pages contradict each other the listing is read once more; if they still do, the book is not
        `consistent`. `on_page` is told (rows so far, total or None) after every page.
        """
        latest: Pages[Position] | None = None

        def listing() -> Pages[Position]:
            nonlocal latest
            latest = self._pages(
                lambda token: _requests.positions(account_id, instrument_ids=instrument_ids, page_token=token),
                self._book_rows.of(account_id),
                _IN_A_BOOK,
            )
            return latest

        _, reading = await gather(listing, Whole[Position], self._clock.now, on_page)
        return Book.indexed(latest.seen if latest else {}, ids.account_id(account_id), reading)

    async def gather_positions(
        self, account_id: int, begin: Callable[[], ports.GatheringT], *, on_page: ports.OnPage | None = None
    ) -> tuple[ports.GatheringT, Reading]:
        """Hand all positions of the account in brief, page by page, to what `begin` makes: quicker than a whole book.

        Returns that, and how the listing was read. If its pages contradict each other, `begin` is called again for a
        second reading, as in `read_book`.
        """

        def listing() -> Pages[Holding]:
            return self._pages(
                lambda token: _requests.positions(account_id, page_token=token), _HOLDINGS.of(account_id), _INSTRUMENT
            )

        return await gather(listing, begin, self._clock.now, on_page)

    async def close_position(
        self,
        account_id: int,
        instrument_id: str,
        cancel_orders: bool | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Response[list[Order]]:
        """Close one position: DELETE `/v1/accounts/{account_id}/positions/{instrument_id}`.

        `instrument_id` is a UUID and nothing else. `cancel_orders` says whether open orders of the position are
        cancelled first; None leaves it to the API. Answers the orders generated, a list even for one; one of another
        account is among them. There is no quantity and no key against doing it twice.
        """
        request = _requests.close_one(account_id, instrument_id, cancel_orders)
        return distinct(await self._calls.write_rows(request, ORDERS, timeout_s=timeout_s))

    async def close_positions(
        self, account_id: int, cancel_orders: bool | None = None, *, timeout_s: float | None = None
    ) -> Response[list[Order]]:
        """Close every position of the account: DELETE `/v1/accounts/{account_id}/positions`. See `close_position`."""
        request = _requests.close_all(account_id, cancel_orders)
        return distinct(await self._calls.write_rows(request, ORDERS, timeout_s=timeout_s))
