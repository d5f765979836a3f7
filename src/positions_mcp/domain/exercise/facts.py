"""What was read for a projection, and which day is the next that has something to project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property

from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.sessions import Session, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.deciding import LatestPrice
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.settlement import Asked
from positions_mcp.domain.exercise.terms import INDEX_ROOTS
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.portfolio.exposure import Quantities
from positions_mcp.domain.portfolio.groups import Underlyings


@dataclass(frozen=True, kw_only=True)
class ExpirationFacts:
    """What was read for a projection. Every mapping may be empty, and what is None was not read or refused.

    Prices are looked up by the underlying's instrument id and by its symbol.
    """

    book: Book
    now: datetime
    """The exchange's present instant."""
    calendar: TradingDays
    outstanding: Outstanding | None
    """The account's instructions."""
    instruction_doubts: Sequence[str] = ()
    """What their listing came without, in words."""
    unlisted: Sequence[Asked] = ()
    """Instructions that were sent and whose outcome is not known."""
    contracts: Mapping[InstrumentId, ContractFacts] = field(default_factory=dict)
    latest: Mapping[str, LatestPrice] = field(default_factory=dict)
    """From market data."""
    closes: Mapping[str, Decimal] = field(default_factory=dict)
    """Closes of the day projected, beside those of the book."""
    given: Mapping[str, Decimal] = field(default_factory=dict)
    """Closing prices to assume."""
    counted: Quantities | None = None
    """What can be counted on of each instrument once open orders have taken theirs; for cover only."""
    not_read: Sequence[str] = ()
    """What neighbours of the API refused, and what follows from that."""
    cash: Decimal | None = None
    buying_power: Decimal | None = None
    deadline: DeadlineRule = field(default_factory=DeadlineRule)

    @cached_property
    def underlyings(self) -> Underlyings:
        """Names of the underlyings."""
        return Underlyings(self.book.positions)

    @cached_property
    def options(self) -> Mapping[str, Sequence[Position]]:
        """The options of the book, by the name of their underlying in upper case."""
        found: defaultdict[str, list[Position]] = defaultdict(list)
        for position in self.book.positions:
            if position.is_option:
                found[self.name_of(position).upper()].append(position)
        return found

    def name_of(self, option: Position) -> str:
        """The symbol of an option's underlying: of an index option that the API does not place, by its root."""
        name = self.underlyings.name_of(option)
        listed = INDEX_ROOTS.get(name)
        return listed.index if listed else name


def next_expiration(book: Book, now: datetime, calendar: TradingDays) -> date | None:
    """The next day with the last session of an option that is held; None where no option has one.

    Today counts until the next session's day: in the evening the book may not show yet what became of it.
    """
    today = new_york_day(now)
    floor = (calendar.session_on(today) or calendar.previous_session(today)).day
    days = (last_session(each, calendar) for each in book.positions if each.quantity)
    return min((session.day for session in days if session and session.day >= floor), default=None)


def last_session(position: Position, calendar: TradingDays) -> Session | None:
    """The session whose evening ends an option; None for what is none, or whose symbol cannot be read."""
    return expiry_session(position.contract.expiration, calendar) if position.contract else None
