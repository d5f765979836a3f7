"""Terms of contracts and market data, read side by side beside a book: one request of each, as far as they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.market import Snapshot
from positions_mcp.domain.exercise.deciding import LatestPrice, traded_at
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.ports import Neighbours


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """By instrument id; what is missing is not known."""

    contracts: Mapping[InstrumentId, ContractFacts]
    snapshots: Mapping[InstrumentId, Snapshot]
    no_contracts: NotKnown | None = None
    """Why terms that were wanted could not be read."""
    no_market_data: NotKnown | None = None

    @property
    def latest(self) -> dict[str, LatestPrice]:
        """The latest price of what has traded, by instrument id."""
        return {str(key): price for key, each in self.snapshots.items() if (price := traded_at(each)) is not None}


async def read_market_facts(
    neighbours: Neighbours, *, terms_of: Sequence[InstrumentId], market_of: Sequence[InstrumentId]
) -> MarketFacts:
    """The terms of these contracts and the market data of these instruments. What is refused is not known."""
    contracts: Mapping[InstrumentId, ContractFacts] | NotKnown = {}
    snapshots: Mapping[InstrumentId, Snapshot] | NotKnown = {}

    async def read_contracts() -> None:
        nonlocal contracts
        if terms_of:
            reader = neighbours.contracts
            contracts = await known("option contracts", reader.read_option_contracts(terms_of) if reader else None)

    async def read_snapshots() -> None:
        nonlocal snapshots
        if market_of:
            reader = neighbours.market_data
            snapshots = await known("market data", reader.read_snapshots(market_of) if reader else None)

    async with anyio.create_task_group() as side_by_side:
        side_by_side.start_soon(read_contracts)
        side_by_side.start_soon(read_snapshots)
    return MarketFacts(
        {} if isinstance(contracts, NotKnown) else contracts,
        {} if isinstance(snapshots, NotKnown) else snapshots,
        contracts if isinstance(contracts, NotKnown) else None,
        snapshots if isinstance(snapshots, NotKnown) else None,
    )
