"""What neighbours of the API say beside a book, and what is read for the projection of an expiration.

One request of each, side by side. What is refused is not known, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Generic, TypeVar

import anyio
import anyio.abc

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import ContractFacts, Dividend, Snapshot
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.facts import ExpirationFacts, LatestPrice, last_session, traded_at
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.terms import sized
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.portfolio.exposure import expected_quantities
from positions_mcp.ports import Clock, InstructionsReader, MarketCalendar, Neighbours, PositionsReader

T = TypeVar("T")

_NO_CONTRACTS = "the API's own terms of contracts (refused), so style, settlement and multiplier go by their roots"
_NO_MARKET_DATA = "market data (refused), so prices are the positions' own, or none"
MOST = 100
"""Contracts, or underlyings, that one request asks for: no more are asked for."""
_SOON = timedelta(days=4)
"""Whose last trade may be today, for its opening settlement after a long weekend at the latest."""


class ReadInTask(Generic[T]):
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
    dividends: Mapping[str, tuple[Dividend, ...]] = field(default_factory=dict)
    """Of underlyings of which they were read."""
    balances: Balances | None = None

    @property
    def no_contracts(self) -> bool:
        return _NO_CONTRACTS in self.not_read

    @cached_property
    def latest(self) -> dict[str, LatestPrice]:
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
        contracts, snapshots = ReadInTask(tasks, read_contracts), ReadInTask(tasks, read_snapshots)
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
    beside: Sequence[Position] = (),
    dividends_of: InstrumentId | None = None,
    since: date | None = None,
) -> MarketFacts:
    """The terms of these options, the market of what they are on, one underlying's dividends.

    Of those `beside` them only the terms, as far as there is room in the one request.
    """
    keys = [each.instrument_id for each in options]
    keys += [each.instrument_id for each in beside[: max(MOST - len(keys), 0)]]
    of = [*options, *beside]
    underlyings = sorted({key for each in of if (key := each.underlying_instrument_id) and is_uuid(key)})[:MOST]

    async def read_dividends() -> dict[str, tuple[Dividend, ...]]:
        if neighbours.events is None or dividends_of is None:
            return {}
        found = await known("dividends", neighbours.events.read_dividends(dividends_of, since=since))
        return {} if isinstance(found, NotKnown) else {dividends_of: tuple(found)}

    async with anyio.create_task_group() as tasks:
        facts = ReadInTask(tasks, lambda: read_market_facts(neighbours, terms_of=keys, market_of=underlyings))
        dividends = ReadInTask(tasks, read_dividends)
    return replace(facts.value, dividends=dividends.value)


async def read_for_close(
    neighbours: Neighbours, book: Book, clock: Clock, *, closing: Sequence[Position] | None = None
) -> MarketFacts:
    """What a close needs to know of options: when they trade last, and what underlyings that are not held cost.

    `closing`: what is closed, so that only options among it and over the same underlyings are asked about; None is all.
    """
    options: Sequence[Position] = book.options
    if closing is not None:
        on = {None, *(each.underlying_instrument_id if each.is_option else each.instrument_id for each in closing)}
        options = [each for each in options if each.underlying_instrument_id in on]
    options = [each for each in options if each.quantity]
    soon = new_york_day(clock.now()) + _SOON
    # What is left of one request is for multipliers: those of short options first, as they decide on cover.
    first = [each for each in options if each.contract and each.contract.expiration <= soon]
    rest = sorted(options, key=lambda each: each.counted_quantity > 0)
    terms = list(dict.fromkeys(each.instrument_id for each in (*first, *rest)))
    return await read_market_facts(neighbours, terms_of=terms[:MOST], market_of=_not_held(options, book)[:MOST])


def shorts_beside(book: Book, options: Sequence[Position]) -> list[Position]:
    """Other short options on what these are on, which may lose their cover to them."""
    on, own = {each.underlying_instrument_id for each in options}, {each.instrument_id for each in options}
    return [
        each for each in book.short_options if each.underlying_instrument_id in on and each.instrument_id not in own
    ]


def _not_held(options: Sequence[Position], book: Book) -> list[InstrumentId]:
    """The underlyings whose price the book does not show, each once."""
    found = [each.underlying_instrument_id for each in options if find_underlying(each, book) is None]
    return sorted({key for key in found if key is not None and is_uuid(key)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpirationReader:
    """Reads what a projection needs. All but the book is optional: what is refused is not known, and stops nothing."""

    positions: PositionsReader
    instructions: InstructionsReader
    neighbours: Neighbours
    clock: Clock
    """The market's."""
    calendar: MarketCalendar
    deadline: DeadlineRule

    async def read(self, account_id: AccountId) -> ExpirationFacts:
        """The book, instructions and balances, side by side. Raises UpstreamError where the book cannot be read."""
        reader = self.neighbours.balances
        async with anyio.create_task_group() as tasks:
            listing = ReadInTask(
                tasks, lambda: known("instructions", self.instructions.get_position_instructions(account_id))
            )
            balances = ReadInTask(
                tasks, lambda: known("balances", reader.read_balances(account_id) if reader else None)
            )
        # Read last: what an instruction takes from it meanwhile counts twice rather than never.
        book = await self.positions.read_book(account_id)
        now = self.clock.now()
        listed, money = listing.value, None if isinstance(balances.value, NotKnown) else balances.value
        outstanding = None
        if not isinstance(listed, NotKnown):
            outstanding = Outstanding(listed.data, now=now, calendar=self.calendar, deadline=self.deadline)
        return ExpirationFacts(
            book=book,
            now=now,
            calendar=self.calendar,
            outstanding=outstanding,
            instruction_doubts=() if isinstance(listed, NotKnown) else listed.left_out,
            # Open orders are not read: what a position calls locked is what they may take.
            counted=expected_quantities(book, open_orders=()),
            cash=money.trade_cash if money else None,
            buying_power=money.buying_power if money else None,
            deadline=self.deadline,
        )

    async def with_neighbours(self, facts: ExpirationFacts, day: date) -> ExpirationFacts:
        """The same with the terms of what ends on that day, or is instructed or short, and its underlyings' prices.

        One request of each, side by side; what is not known is left out.
        """
        options = concerned(facts.book, facts.outstanding, day, self.calendar)
        first = shorts_beside(facts.book, options)
        seen = {each.instrument_id for each in (*options, *first)}
        # Others may be assigned before they expire.
        later = (each for each in facts.book.short_options if each.instrument_id not in seen)
        beside = await read_beside(self.neighbours, options, beside=[*first, *later])
        book = sized(facts.book, beside.contracts)
        if book.sizes:
            facts = replace(facts, book=book, counted=expected_quantities(book, open_orders=()))
        return replace(facts, contracts=beside.contracts, latest=beside.latest, not_read=beside.not_read)


def concerned(book: Book, outstanding: Outstanding | None, day: date, calendar: TradingDays) -> list[Position]:
    """The options that end with the session of that day, and those that an instruction is about."""
    session = expiry_session(day, calendar)
    found = []
    for position in book.positions:
        last = last_session(position, calendar)
        if last is None or not position.quantity:
            continue
        instructed = outstanding and outstanding.on(position.instrument_id).each
        if last.day == session.day or (instructed and last.day > session.day):
            found.append(position)
    return found


def priced(facts: ExpirationFacts, given: Mapping[str, Decimal]) -> ExpirationFacts:
    """The same with closing prices to assume."""
    return replace(facts, given={symbol.strip().upper(): price for symbol, price in given.items()})
