"""Readers of what lies beside positions: contracts, market data, balances and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from positions_mcp.domain.account.balances import Balances
    from positions_mcp.domain.account.contracts import ContractFacts
    from positions_mcp.domain.account.dividends import Dividend
    from positions_mcp.domain.account.market import Snapshot
    from positions_mcp.domain.ids import AccountId, InstrumentId


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
