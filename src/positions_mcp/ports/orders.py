"""Orders, as the guard reads, makes and cancels them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from positions_mcp.domain.account.orders import Order
    from positions_mcp.domain.enums import OrderStatus
    from positions_mcp.domain.ids import AccountId, InstrumentId, OrderId
    from positions_mcp.domain.operation.records import Response


class OrdersReader(Protocol):
    """Reads orders. An account or a deployment may refuse this: callers carry on without."""

    async def read_orders(
        self,
        account_id: AccountId,
        *,
        order_ids: Sequence[OrderId] = (),
        statuses: Sequence[OrderStatus] = (),
        instrument_ids: Sequence[InstrumentId] = (),
        underlying_instrument_ids: Sequence[InstrumentId] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Order, ...]:
        """The account's orders over every page, filtered by whatever is given. Raises UpstreamError.

        A new or a finished order may be missing: `find_order` may still know it.
        """

    async def read_orders_of_unknown_status(self, account_id: AccountId, *, since: datetime) -> tuple[Order, ...]:
        """Every order made since then whose status has no name here, and perhaps others. Raises UpstreamError."""

    async def find_order(self, account_id: AccountId, order_id: OrderId) -> Order | None:
        """One order by its id; None where the API knows no such order. Raises UpstreamError."""


class OrderWriter(Protocol):
    """Sends closes. Each call is at most one request and is never repeated by the implementation.

    Raises, by what is known of the effect: NothingSent (nothing left), RequestRejected (sent, no effect),
    OutcomeUnknown (sent, effect not known).
    """

    async def close_position(
        self, account_id: AccountId, instrument_id: InstrumentId, cancel_orders: bool | None = None
    ) -> Response[list[Order]]:
        """Close one position. Answers the orders generated: a list even for one."""

    async def close_positions(self, account_id: AccountId, cancel_orders: bool | None = None) -> Response[list[Order]]:
        """Close every position of the account. Answers the orders generated."""


class OrderCanceller(Protocol):
    """Cancels orders. One request a call, never repeated; raises as OrderWriter does."""

    async def cancel_order(self, account_id: AccountId, order_id: OrderId) -> Response[Order]:
        """Ask for one order to be cancelled. Answers it as it then is; what fills before stays filled."""
