"""What is read for the projection of an expiration: the book, the instructions, and what neighbours say beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import anyio

from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.portfolio.exposure import expected_quantities
from positions_mcp.guard.market_facts import Coming, read_beside
from positions_mcp.ports import Clock, InstructionsReader, MarketCalendar, Neighbours, PositionsReader


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
            listing = Coming(
                tasks, lambda: known("instructions", self.instructions.get_position_instructions(account_id))
            )
            balances = Coming(tasks, lambda: known("balances", reader.read_balances(account_id) if reader else None))
        # Read last: what an instruction takes from it meanwhile counts twice rather than never.
        book = await self.positions.read_book(account_id)
        now = self.clock.now()
        listed, money = listing.value, None if isinstance(balances.value, NotKnown) else balances.value
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
