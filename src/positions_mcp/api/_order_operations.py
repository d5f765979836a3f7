"""Orders: reading them, and cancelling one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from positions_mcp.api import _failures, _requests
from positions_mcp.api._http import Request
from positions_mcp.api._listing import Listing, Sameness
from positions_mcp.api._operations import Operations
from positions_mcp.api._requests import UpdatedAt
from positions_mcp.api._wire import RowReader
from positions_mcp.domain.account.orders import Order, distinct_orders
from positions_mcp.domain.enums import OrderStatus, SecurityType
from positions_mcp.domain.errors import InconsistentListing, NotFound, RequestRejected
from positions_mcp.domain.operation.records import Response

ORDERS = RowReader(Order)
_FEW = 50
"""Orders that are read rather than counted."""
_ORDER: Sameness[Order] = Sameness(attrgetter("id"), attrgetter("instrument_id", "side", "quantity"), may_repeat=True)


def distinct(answer: Response[list[Order]]) -> Response[list[Order]]:
    """The answer with each of its orders once."""
    return answer.model_copy(update={"data": distinct_orders(answer.data)})


class OrderOperations(Operations):
    """Orders, to follow what a close has made."""

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
        request = _requests.order(account_id, order_id)
        answer = await self._calls.read_one(request, Order, timeout_s=timeout_s)
        if (answer.data.id, answer.data.account_id) != (request.path.rsplit("/", 1)[-1], account_id):
            raise _failures.another("order", answer.metadata.request_id)
        return answer

    async def cancel_order(self, account_id: int, order_id: str, *, timeout_s: float | None = None) -> Response[Order]:
        """Ask for one order to be cancelled: DELETE `/v1/accounts/{account_id}/orders/{order_id}`, sent once.

        Answers the order as it then is, often PENDING_CANCEL: what fills before the cancel arrives stays filled. An
        order that has ended is refused. Outside of the first contract of the API.
        """
        request = _requests.cancel_order(account_id, order_id)
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

        def request(token: str | None) -> Request:
            return _requests.orders(
                account_id,
                order_ids=order_ids,
                statuses=statuses,
                instrument_ids=instrument_ids,
                underlying_instrument_ids=underlying_instrument_ids,
                since=since,
                until=until,
                page_token=token,
            )

        async def read_once() -> tuple[Order, ...]:
            async with Listing(self._pages(request, ORDERS.of(account_id), _ORDER)) as orders:
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
        first = await self.get_orders(account_id, since=since, page_size=_FEW)
        total = first.metadata.total_items
        if not first.left_out and not first.metadata.next_page_token and total in (None, len(first.data)):
            return tuple(first.data)
        all_known = not first.left_out and all(order.status.is_known for order in first.data)
        if all_known and total is not None and await self._are_of_known_status(account_id, since, total):
            return ()
        return await self.read_orders(account_id, since=since)

    async def _are_of_known_status(self, account_id: int, since: datetime, total: int) -> bool:
        """Whether as many have one. All are counted again: one made meanwhile may have stood in for one without."""
        for statuses in (tuple(OrderStatus), ()):
            if await self._count(account_id, since, statuses) != total:
                return False
        return True

    async def _count(self, account_id: int, since: datetime, statuses: tuple[OrderStatus, ...]) -> int | None:
        try:
            found = await self.get_orders(account_id, statuses=statuses, since=since, page_size=1)
        except RequestRejected:  # a status that this API does not know, or that it does not filter by
            return None
        return found.metadata.total_items
