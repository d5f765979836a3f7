"""Orders, and what lies beside positions, as the API has them: contracts, market data, balances and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from positions_mcp.domain.account.balances import Balances
    from positions_mcp.domain.account.market import ContractFacts, Dividend, Snapshot
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


class OptionContractsReader(Protocol):
    """Reads what option contracts are."""

    async def read_option_contracts(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, ContractFacts]:
        """The facts of these contracts, by id; what the API does not know is missing. Raises UpstreamError."""


class MarketDataReader(Protocol):
    """Reads the market."""

    async def read_snapshots(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, Snapshot]:
        """A snapshot of each of these instruments, by id; what has none is missing. Raises UpstreamError."""


class BalancesReader(Protocol):
    """Reads an account's money."""

    async def read_balances(self, account_id: AccountId) -> Balances:
        """The account's balances. Raises UpstreamError."""


class EventsReader(Protocol):
    """Reads corporate events."""

    async def read_dividends(
        self, instrument_id: InstrumentId, *, since: date | None = None, until: date | None = None
    ) -> tuple[Dividend, ...]:
        """Dividends of an instrument from one day to another, both included, by ex-date. Raises UpstreamError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Readers of what lies beside positions. An account or a deployment may refuse any: None where there is none.

    Whoever asks goes through `domain.account.known.known`, so that a refusal is something not known and stops nothing.
    """

    contracts: OptionContractsReader | None = None
    market_data: MarketDataReader | None = None
    balances: BalancesReader | None = None
    events: EventsReader | None = None
