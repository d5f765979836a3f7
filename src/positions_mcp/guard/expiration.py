"""What is read for the projection of an expiration: the book, the instructions, and what neighbours say beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TypeVar

import anyio

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.market import Snapshot
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session
from positions_mcp.domain.exercise.deciding import traded_at
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.exercise.outstanding import Outstanding
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.portfolio.exposure import expected_quantities
from positions_mcp.ports import Clock, InstructionsReader, MarketCalendar, Neighbours, PositionsReader

T = TypeVar("T")


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
        options = _concerned(facts, day)
        on = {facts.book.by_id[key].underlying_instrument_id for key in options}
        underlyings = sorted(key for key in on if key is not None and is_uuid(key))
        contracts: Mapping[InstrumentId, ContractFacts] = {}
        snapshots: Mapping[InstrumentId, Snapshot] = {}

        async def read_contracts() -> None:
            nonlocal contracts
            reader = self.neighbours.contracts
            if reader and options:
                contracts = await _or_nothing("option contracts", lambda: reader.read_option_contracts(options))

        async def read_snapshots() -> None:
            nonlocal snapshots
            reader = self.neighbours.market_data
            if reader and underlyings:
                snapshots = await _or_nothing("market data", lambda: reader.read_snapshots(underlyings))

        async with anyio.create_task_group() as side_by_side:
            side_by_side.start_soon(read_contracts)
            side_by_side.start_soon(read_snapshots)
        prices = {str(key): price for key, each in snapshots.items() if (price := traded_at(each)) is not None}
        return replace(facts, contracts=contracts, latest=prices)


async def _or_nothing(what: str, read: Callable[[], Awaitable[dict[InstrumentId, T]]]) -> Mapping[InstrumentId, T]:
    found = await known(what, read())
    return {} if isinstance(found, NotKnown) else found


def _concerned(facts: ExpirationFacts, day: date) -> list[InstrumentId]:
    """The options that end with the session of that day, and those that an instruction is about."""
    session = expiry_session(day, facts.calendar)
    found = []
    for position in facts.book.positions:
        last = last_session(position, facts.calendar)
        if last is None or not position.quantity:
            continue
        instructed = facts.outstanding and facts.outstanding.on(position.instrument_id).each
        if last.day == session.day or (instructed and last.day > session.day):
            found.append(position.instrument_id)
    return found


def priced(facts: ExpirationFacts, given: Mapping[str, Decimal]) -> ExpirationFacts:
    """The same with closing prices to assume."""
    return replace(facts, given={symbol.strip().upper(): price for symbol, price in given.items()})
