"""What is read for the projection of an expiration: the book, the instructions, and what neighbours say beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import anyio

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.deciding import LatestPrice
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.portfolio.exposure import expected_quantities
from positions_mcp.guard.market_facts import MarketFacts, read_market_facts
from positions_mcp.ports import Clock, InstructionsReader, MarketCalendar, Neighbours, PositionsReader

_NO_CONTRACTS = "the API's own terms of contracts (refused), so style, settlement and multiplier go by their roots"
_NO_MARKET_DATA = "market data (refused), so prices are the positions' own, or none"


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
        listed: Response[list[Instruction]] | NotKnown = NotKnown("instructions", "")
        balances: Balances | NotKnown = NotKnown("balances", "")

        async def read_instructions() -> None:
            nonlocal listed
            listed = await known("instructions", self.instructions.get_position_instructions(account_id))

        async def read_balances() -> None:
            nonlocal balances
            reader = self.neighbours.balances
            balances = await known("balances", reader.read_balances(account_id) if reader else None)

        async with anyio.create_task_group() as side_by_side:
            side_by_side.start_soon(read_instructions)
            side_by_side.start_soon(read_balances)
        # Read last: what an instruction takes from it meanwhile counts twice rather than never.
        book = await self.positions.read_book(account_id)
        now = self.clock.now()
        money = None if isinstance(balances, NotKnown) else balances
        rows = None if isinstance(listed, NotKnown) else listed.data
        return ExpirationFacts(
            book=book,
            now=now,
            calendar=self.calendar,
            outstanding=None if rows is None else Outstanding(rows, now=now, calendar=self.calendar),
            instruction_doubts=() if isinstance(listed, NotKnown) else listed.left_out,
            # Open orders are not read: what a position calls locked is what they may take.
            counted=expected_quantities(book, open_orders=()),
            cash=money.trade_cash if money else None,
            buying_power=money.buying_power if money else None,
            deadline=self.deadline,
        )

    async def with_neighbours(self, facts: ExpirationFacts, day: date) -> ExpirationFacts:
        """The same with the terms of what ends on that day, or is under instruction, and the prices of its underlyings.

        One request of each, side by side; what is not known is left out.
        """
        beside = await read_beside(self.neighbours, concerned(facts.book, facts.outstanding, day, self.calendar))
        return replace(facts, contracts=beside.contracts, latest=beside.latest, not_read=beside.not_read)


@dataclass(frozen=True, slots=True)
class Beside:
    """What neighbours say beside the book; what is empty or None is not known."""

    contracts: Mapping[InstrumentId, ContractFacts] = field(default_factory=dict)
    latest: Mapping[str, LatestPrice] = field(default_factory=dict)
    """Prices of underlyings, by id."""
    ex_dates: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    """Of underlyings whose dividends were read, by id."""
    not_read: tuple[str, ...] = ()
    """What was refused, and what follows from that."""
    balances: Balances | None = None


async def read_beside(
    neighbours: Neighbours,
    options: Sequence[Position],
    *,
    dividends_of: InstrumentId | None = None,
    since: date | None = None,
) -> Beside:
    """The terms of these options, the prices of what they are on, one underlying's dividends: one request each."""
    keys = [each.instrument_id for each in options]
    underlyings = sorted({key for each in options if (key := each.underlying_instrument_id) and is_uuid(key)})
    facts = MarketFacts({}, {})
    ex_dates: dict[str, tuple[date, ...]] = {}

    async def read_facts() -> None:
        nonlocal facts
        facts = await read_market_facts(neighbours, terms_of=keys, market_of=underlyings)

    async def read_dividends() -> None:
        reader = neighbours.events
        if reader and dividends_of:
            found = await known("dividends", reader.read_dividends(dividends_of, since=since))
            if not isinstance(found, NotKnown):
                ex_dates[dividends_of] = tuple(each.ex_date for each in found)

    async with anyio.create_task_group() as side_by_side:
        side_by_side.start_soon(read_facts)
        side_by_side.start_soon(read_dividends)
    refused = [
        said
        for said, wanted, reader in (
            (_NO_CONTRACTS, facts.no_contracts, neighbours.contracts),
            (_NO_MARKET_DATA, facts.no_market_data, neighbours.market_data),
        )
        if wanted is not None and reader is not None
    ]
    return Beside(facts.contracts, facts.latest, ex_dates, tuple(sorted(refused)))


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
