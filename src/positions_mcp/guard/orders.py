"""Orders of an account, of which only those are asked for that matter: they may fill, or a close has made them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import RequestRejected, UpstreamError
from positions_mcp.domain.ids import NIL_UUID, AccountId, OrderId, is_uuid
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.guard.dependencies import Dependencies

MOST_IDS = 100
"""Orders that are asked for by their ids in one request; more are asked for with all others."""
_RECENT = timedelta(days=7)
_MAY_FILL = tuple(status for status in OrderStatus if not status.is_terminal)


class OrdersListed:
    """Reads orders through the port. None, not even an empty tuple, where they cannot be read."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    async def that_may_fill(self, account_id: AccountId, *, recent: bool) -> tuple[Order, ...] | None:
        """Every one that may still fill; with `recent` also those of the last days whose status has no name here."""
        filters = self._deps.order_filters
        # First: one that takes a status of a name meanwhile is among those listed next.
        unnamed = await self._of_unknown_status(account_id) if recent and filters.by_status else ()
        if unnamed is None:
            return None  # a broker that is silent would be waited for twice
        listed = await self._listed(account_id, statuses=_MAY_FILL if filters.by_status else ())
        if listed is None:
            return None
        return tuple({order.id: order for order in (*unnamed, *listed)}.values())

    async def _of_unknown_status(self, account_id: AccountId) -> tuple[Order, ...] | None:
        if self._deps.orders is None:
            return None
        try:
            since = self._deps.market_clock.now() - _RECENT
            return await self._deps.orders.read_orders_of_unknown_status(account_id, since=since)
        except UpstreamError:
            return None

    async def of(self, account_id: AccountId, closes: Sequence[Operation]) -> tuple[Order, ...] | None:
        """The orders that their rows are known to have made; while an outcome is unknown any order may explain it."""
        rows = [row for operation in closes for row in operation.rows]
        ids = [order.order_id for row in rows if row.is_unfinished for order in row.orders]
        are_askable = NIL_UUID not in ids and all(map(is_uuid, ids))
        if len(ids) > MOST_IDS or not are_askable or any(row.is_in_doubt for row in rows):
            return await self._listed(account_id)
        listed = await self._listed(account_id, order_ids=ids) if ids else ()
        return None if listed is None else await self._with_unlisted(account_id, ids, listed)

    async def _with_unlisted(
        self, account_id: AccountId, ids: Sequence[OrderId], listed: tuple[Order, ...]
    ) -> tuple[Order, ...] | None:
        """A new or a finished order may be missing from a listing while its id still answers."""
        known = {order.id for order in listed}
        found = list(listed)
        try:
            for order_id in ids:
                if order_id not in known and self._deps.orders is not None:
                    order = await self._deps.orders.find_order(account_id, order_id)
                    found += [] if order is None else [order]
        except UpstreamError:
            return None
        return tuple(found)

    async def _listed(
        self, account_id: AccountId, *, order_ids: Sequence[OrderId] = (), statuses: Sequence[OrderStatus] = ()
    ) -> tuple[Order, ...] | None:
        """The orders of these ids or statuses, or all; None where they cannot be read."""
        if self._deps.orders is None:
            return None
        try:
            return await self._deps.orders.read_orders(account_id, order_ids=order_ids, statuses=statuses)
        except RequestRejected as error:
            if not statuses or error.status != HTTPStatus.BAD_REQUEST:
                return None
            # An API of the seed contract does not know every status by name: it is asked for all from now on.
            self._deps.order_filters.by_status = False
            return await self._listed(account_id)
        except UpstreamError:
            return None
