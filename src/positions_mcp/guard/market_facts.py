"""What neighbours of the API say beside a book: one request of each, side by side. What is refused is not known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Generic, TypeVar

import anyio
import anyio.abc

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.market import Snapshot
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.exercise.deciding import LatestPrice, traded_at
from positions_mcp.domain.ids import InstrumentId, is_uuid
from positions_mcp.ports import Clock, Neighbours

T = TypeVar("T")

_NO_CONTRACTS = "the API's own terms of contracts (refused), so style, settlement and multiplier go by their roots"
_NO_MARKET_DATA = "market data (refused), so prices are the positions' own, or none"
_MOST = 100
"""Contracts, or underlyings, that one request asks for: no more are asked for."""
_SOON = timedelta(days=4)
"""Whose last trade may be today, for its opening settlement after a long weekend at the latest."""


class Coming(Generic[T]):
    """What is read by a task of a group: its `value` is there once the group has ended."""

    value: T

    def __init__(self, tasks: anyio.abc.TaskGroup, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        tasks.start_soon(self._arrive)

    async def _arrive(self) -> None:
        self.value = await self._read()


@dataclass(frozen=True)
class MarketFacts:
    """By instrument id; what is missing or None is not known."""

    contracts: Mapping[InstrumentId, ContractFacts] = field(default_factory=dict)
    snapshots: Mapping[InstrumentId, Snapshot] = field(default_factory=dict)
    no_market_data: NotKnown | None = None
    """Why market data that was wanted could not be read."""
    not_read: tuple[str, ...] = ()
    """What was refused, and what follows from that."""
    ex_dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    """Of underlyings whose dividends were read."""
    balances: Balances | None = None

    @cached_property
    def latest(self) -> dict[str, LatestPrice]:
        """The latest price of what has traded."""
        return {str(key): price for key, each in self.snapshots.items() if (price := traded_at(each)) is not None}


async def read_market_facts(
    neighbours: Neighbours, *, terms_of: Sequence[InstrumentId], market_of: Sequence[InstrumentId]
) -> MarketFacts:
    """The terms of these contracts and the market data of these instruments."""
    terms, market = neighbours.contracts, neighbours.market_data

    async def read_contracts() -> Mapping[InstrumentId, ContractFacts] | NotKnown:
        if not terms_of:
            return {}
        return await known("option contracts", terms.read_option_contracts(terms_of) if terms else None)

    async def read_snapshots() -> Mapping[InstrumentId, Snapshot] | NotKnown:
        if not market_of:
            return {}
        return await known("market data", market.read_snapshots(market_of) if market else None)

    async with anyio.create_task_group() as tasks:
        contracts, snapshots = Coming(tasks, read_contracts), Coming(tasks, read_snapshots)
    no_contracts = contracts.value if isinstance(contracts.value, NotKnown) else None
    no_market_data = snapshots.value if isinstance(snapshots.value, NotKnown) else None
    return MarketFacts(
        {} if isinstance(contracts.value, NotKnown) else contracts.value,
        {} if isinstance(snapshots.value, NotKnown) else snapshots.value,
        no_market_data,
        (
            *((_NO_MARKET_DATA,) if no_market_data and market else ()),
            *((_NO_CONTRACTS,) if no_contracts and terms else ()),
        ),
    )


async def read_beside(
    neighbours: Neighbours,
    options: Sequence[Position],
    *,
    dividends_of: InstrumentId | None = None,
    since: date | None = None,
) -> MarketFacts:
    """The terms of these options, the market of what they are on, one underlying's dividends."""
    keys = [each.instrument_id for each in options]
    underlyings = sorted({key for each in options if (key := each.underlying_instrument_id) and is_uuid(key)})

    async def read_ex_dates() -> dict[str, tuple[date, ...]]:
        if neighbours.events is None or dividends_of is None:
            return {}
        found = await known("dividends", neighbours.events.read_dividends(dividends_of, since=since))
        return {} if isinstance(found, NotKnown) else {dividends_of: tuple(each.ex_date for each in found)}

    async with anyio.create_task_group() as tasks:
        facts = Coming(tasks, lambda: read_market_facts(neighbours, terms_of=keys, market_of=underlyings))
        ex_dates = Coming(tasks, read_ex_dates)
    return replace(facts.value, ex_dates=ex_dates.value)


async def read_for_close(
    neighbours: Neighbours, book: Book, clock: Clock, *, closing: Sequence[Position] | None = None
) -> MarketFacts:
    """What a close needs to know of options: when they trade last, and what underlyings that are not held cost.

    `closing`: what is closed, so that only options among it and over the same underlyings are asked about; None is all.
    """
    options: Sequence[Position] = book.options
    if closing is not None:
        on = {None, *(_on(each) for each in closing)}
        options = [each for each in options if each.underlying_instrument_id in on]
    options = [each for each in options if each.quantity]
    soon = new_york_day(clock.now()) + _SOON
    ending = [each.instrument_id for each in options if each.contract and each.contract.expiration <= soon]
    return await read_market_facts(neighbours, terms_of=ending[:_MOST], market_of=_not_held(options, book)[:_MOST])


def _on(position: Position) -> InstrumentId | None:
    """What an option is over; for anything else, itself."""
    return position.underlying_instrument_id if position.is_option else position.instrument_id


def _not_held(options: Sequence[Position], book: Book) -> list[InstrumentId]:
    """The underlyings whose price the book does not show, each once."""
    found = [each.underlying_instrument_id for each in options if find_underlying(each, book) is None]
    return sorted({key for key in found if key is not None and is_uuid(key)})
