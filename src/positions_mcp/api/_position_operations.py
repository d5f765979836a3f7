"""Operations on positions, and on the orders that closing them makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from positions_mcp.api import _failures, _requests
from positions_mcp.api._book import PackedPage, gather
from positions_mcp.api._calls import Operations
from positions_mcp.api._exchange import Request
from positions_mcp.api._listing import Listing, Pages, RowIdentity
from positions_mcp.api._requests import UpdatedAt
from positions_mcp.api._wire import RowReader
from positions_mcp.domain import ids
from positions_mcp.domain.account.orders import Order, distinct_orders
from positions_mcp.domain.account.positions import Book, Holding, Position, Whole
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.enums import OrderStatus, PositionSortKey, SecurityType, SortDirection
from positions_mcp.domain.errors import InconsistentListing, NotFound, RequestRejected
from positions_mcp.domain.operation.records import Response

if TYPE_CHECKING:
    from positions_mcp import ports

ORDERS = RowReader(Order)
_FEW = 50
"""Orders that are read rather than counted."""
_NAMED = tuple(OrderStatus)
_STATUSES = frozenset(status.value for status in _NAMED)
_ORDER: RowIdentity[Order] = RowIdentity(
    attrgetter("id"), attrgetter("instrument_id", "side", "quantity"), may_repeat=True
)


def distinct(answer: Response[list[Order]]) -> Response[list[Order]]:
    """The answer with each of its orders once."""
    return answer.model_copy(update={"data": distinct_orders(answer.data)})


class OrderOperations(Operations):
    """Orders, to follow what a close has made."""

    _busy: set[int]
    """Accounts whose orders were too many to be read, when they were last looked at: a hint alone."""

    async def get_orders(
        self,
        account_id: int,
        *,
        order_ids: Sequence[str] = (),
        statuses: Sequence[OrderStatus | str] = (),
        instrument_ids: Sequence[str] = (),
        underlying_instrument_ids: Sequence[str] = (),
        instrument_type: SecurityType | str | None = None,
        symbol: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        updated_at: UpdatedAt | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout_s: float | None = None,
    ) -> Response[list[Order]]:
        """One page of the account's orders: GET `/v1/accounts/{account_id}/orders`.

        `since` and `until` are inclusive. Every time needs its zone.
        """
        request = _requests.orders(
            account_id,
            order_ids=order_ids,
            statuses=statuses,
            instrument_ids=instrument_ids,
            underlying_instrument_ids=underlying_instrument_ids,
            instrument_type=instrument_type,
            symbol=symbol,
            since=since,
            until=until,
            updated_at=updated_at,
            page_size=page_size,
            page_token=page_token,
        )
        return distinct(await self._calls.read_rows(request, ORDERS.of(account_id), timeout_s=timeout_s))

    async def get_order(self, account_id: int, order_id: str, *, timeout_s: float | None = None) -> Response[Order]:
        """One order: GET `/v1/accounts/{account_id}/orders/{order_id}`. Raises NotFound where the API knows none."""
        request = Request("GET", _requests.order_path(account_id, order_id))
        answer = await self._calls.read_one(request, Order, timeout_s=timeout_s)
        if (answer.data.id, answer.data.account_id) != (request.path.rsplit("/", 1)[-1], account_id):
            raise _failures.another("order", answer.metadata.request_id)
        return answer

    async def cancel_order(self, account_id: int, order_id: str, *, timeout_s: float | None = None) -> Response[Order]:
        """Ask for one order to be cancelled: DELETE `/v1/accounts/{account_id}/orders/{order_id}`, sent once.

        Answers the order as it then is, often PENDING_CANCEL: what fills before the cancel arrives stays filled. An
        order that has ended is refused. Outside of the first contract of the API.
        """
        request = Request("DELETE", _requests.order_path(account_id, order_id))
        answer = await self._calls.write_one(request, Order, timeout_s=timeout_s)
        if answer.data.account_id != account_id:
            raise _failures.answered_another(answer.data.account_id, answer.metadata.request_id)
        return answer

    async def find_order(self, account_id: int, order_id: str, *, timeout_s: float | None = None) -> Order | None:
        """`get_order` alone; None where the API knows no such order."""
        try:
            return (await self.get_order(account_id, order_id, timeout_s=timeout_s)).data
        except NotFound:
            return None

    async def read_orders(
        self,
        account_id: int,
        *,
        order_ids: Sequence[str] = (),
        statuses: Sequence[OrderStatus | str] = (),
        instrument_ids: Sequence[str] = (),
        underlying_instrument_ids: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Order, ...]:
        """The account's orders over every page, filtered by whatever is given.

        Raises InconsistentListing where its pages contradict each other twice, and ReadFailed where rows cannot be
        read or are of another account.
        """
        first = _requests.orders(
            account_id,
            order_ids=order_ids,
            statuses=statuses,
            instrument_ids=instrument_ids,
            underlying_instrument_ids=underlying_instrument_ids,
            since=since,
            until=until,
        )

        async def read_once() -> tuple[Order, ...]:
            async with Listing(self._pages(first, ORDERS.of(account_id), _ORDER)) as orders:
                return tuple([order async for order in orders])

        try:
            return await read_once()
        except InconsistentListing:
            return await read_once()

    async def read_orders_of_unknown_status(self, account_id: int, *, since: datetime) -> tuple[Order, ...]:
        """Every order made since then whose status has no name here, and perhaps others: such cannot be asked for.

        Of many orders the API's own counts say whether there is any: only where they do not are all read. Raises as
        `read_orders`.
        """
        # Before all are counted: one made meanwhile cannot stand in for one without.
        with_name = await self._count(account_id, since, _NAMED) if account_id in self._busy else None
        rows = ORDERS.of(account_id)
        page = await self._calls.read_page(_requests.orders(account_id, since=since, page_size=_FEW), rows)
        reply, raw = page.tolerantly()
        # Most have a name, and nothing else of these is of use here: they are not made into orders.
        orders, left_out = rows.read([row for row in raw if not _is_of_known_status(row, account_id)])
        total = reply.metadata.total_items
        if not left_out and not reply.metadata.next_page_token and total in (None, len(raw)):
            return tuple(distinct_orders(orders))
        all_known = total is not None and not left_out and all(order.status.is_known for order in orders)
        if all_known and (with_name == total or await self._are_of_known_status(account_id, since, total)):
            self._busy.add(account_id)
            return ()
        return await self.read_orders(account_id, since=since)

    async def _are_of_known_status(self, account_id: int, since: datetime, total: int | None) -> bool:
        """Whether as many have one. All are counted again: one made meanwhile may have stood in for one without."""
        for statuses in (_NAMED, ()):
            if await self._count(account_id, since, statuses) != total:
                return False
        return True

    async def _count(self, account_id: int, since: datetime, statuses: tuple[OrderStatus, ...]) -> int | None:
        try:
            found = await self.get_orders(account_id, statuses=statuses, since=since, page_size=1)
        except RequestRejected:  # a status that this API does not know, or that it does not filter by
            return None
        return found.metadata.total_items


def _is_of_known_status(row: object, account_id: int) -> bool:
    """Whether a row is of this account, and its status one that orders can be asked for by."""
    return isinstance(row, Mapping) and row.get("account_id") == account_id and row.get("status") in _STATUSES


_INSTRUMENT: RowIdentity[Any] = RowIdentity(
    attrgetter("instrument_id"), attrgetter("quantity", "available_quantity", "symbol", "position_type")
)
_IN_A_BOOK = replace(_INSTRUMENT, are_kept=True)
_HOLDINGS: RowReader[Holding] = RowReader(Position, PackedPage.read)


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
        first = _requests.positions(
            account_id,
            instrument_ids=instrument_ids,
            sort_by=sort_by,
            sort_direction=sort_direction,
            page_size=page_size,
        )
        return Listing(self._pages(first, self._positions.of(account_id), _INSTRUMENT, timeout_s))

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
        first = _requests.positions(account_id, instrument_ids=instrument_ids)
        latest: Pages[Position] | None = None

        def listing() -> Pages[Position]:
            nonlocal latest
            latest = self._pages(first, self._book_rows.of(account_id), _IN_A_BOOK)
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
        first, rows = _requests.positions(account_id), _HOLDINGS.of(account_id)
        return await gather(lambda: self._pages(first, rows, _INSTRUMENT), begin, self._clock.now, on_page)

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
