"""What was read for a projection, and which price of an underlying decides an expiration, and which is the latest.

The close of the contract's last session decides (OCC Rule 805 goes by it); an AM-settled index option is decided by the
opening settlement. What trades after hours decides nothing. A sentence about a price names an instant and its zone, so
that it stays true in a plan that is read later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from positions_mcp.domain.account.market import ContractFacts, Snapshot
from positions_mcp.domain.account.positions import Book, Holding, Position
from positions_mcp.domain.account.sessions import NEW_YORK, Session, minute, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.instructions import Claim, Outstanding
from positions_mcp.domain.exercise.settlement import AskedInstruction
from positions_mcp.domain.exercise.terms import INDEX_ROOTS, SettlesAt, Terms
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import as_root
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.exposure import Quantities
from positions_mcp.domain.portfolio.groups import Underlyings


class Basis(StrEnum):
    """What is known of the price that decides."""

    GIVEN = "given"
    """Assumed by whoever asks: what if it closed there?"""
    CLOSE = "the close"
    """The close of the day, which decides."""
    LATEST = "the latest price"
    """The session is not over: the close decides."""
    CLOSE_NOT_KNOWN = "close not known"
    """The session is over and its close has not been published here."""
    OPENING_SETTLEMENT = "opening settlement"
    """AM settlement: the level is in no book."""
    NOT_SAID = "settlement not known"
    """Whether the opening or the close settles is not known."""
    ADJUSTED = "adjusted contract"
    """What it delivers is not known, so no price says whether it is in the money."""
    NO_PRICE = "no price"
    """Nothing says what the underlying costs."""


class PriceSource(StrEnum):
    """Where a price comes from."""

    LAST_TRADE = "last trade"
    QUOTE = "quote"
    """Between bid and ask."""
    POSITION = "position"
    """The API prices a position without saying when; `at` is when the book was read."""
    CLOSE = "close"
    """An earlier session's."""


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The latest price of an underlying that is known: where it comes from, and which instant it is of."""

    price: Decimal
    at: datetime
    source: PriceSource

    @property
    def said(self) -> str:
        """In words: `200.5 (last trade, 2026-11-27 12:41 New York)`."""
        at = minute(self.at)
        if self.source is PriceSource.POSITION:
            return f"{plain(self.price)} (the position's, read {at}; quote time not stated)"
        return f"{plain(self.price)} ({self.source}, {at})"


@dataclass(frozen=True, slots=True)
class DecidingPrice:
    """The price by which an option's outcome is told, and what is known of it."""

    basis: Basis
    session: Session
    """The contract's last session, or the day of its opening settlement."""
    price: Decimal | None
    """To tell the outcome by; None: not known."""
    latest: LatestPrice | None

    @property
    def is_final(self) -> bool:
        return self.basis is Basis.CLOSE

    @property
    def said(self) -> str:
        """In words that stay true: which price, of which instant, and which one decides."""
        day = self.session.day.isoformat()
        close = f"the close of {day} at {self.session.closes.astimezone(NEW_YORK):%H:%M} New York"
        latest = "no price is known" if self.latest is None else f"latest {self.latest.said}"
        after = f"; {latest}, which does not decide" if self.latest else ""
        match self.basis:
            case Basis.GIVEN:
                return f"{_shown(self.price)} as given, if {close} were that"
            case Basis.CLOSE:
                return f"{_shown(self.price)}, {close}, decides{after}"
            case Basis.LATEST | Basis.NO_PRICE:
                return f"{latest}; {close} decides"
            case Basis.CLOSE_NOT_KNOWN:
                return f"{close} decides and is not known here{after}"
            case Basis.OPENING_SETTLEMENT:
                return f"the opening settlement of {day} decides and is not in the book{after}"
            case Basis.NOT_SAID:
                return f"whether the opening or the close of {day} settles it is not known{after}"
            case Basis.ADJUSTED:
                return "adjusted contract: what it delivers is not known, so no price decides here"


def traded_at(snapshot: Snapshot) -> LatestPrice | None:
    """The last trade of market data, else its quote; None where neither has both a price and an instant."""
    if snapshot.price is not None and snapshot.priced_at is not None:
        return LatestPrice(snapshot.price, snapshot.priced_at, PriceSource.LAST_TRADE)
    quote = snapshot.last_quote
    if quote and quote.midpoint is not None and quote.is_sound and quote.timestamp is not None:
        return LatestPrice(quote.midpoint, quote.timestamp, PriceSource.QUOTE)
    return None


def latest_price(
    underlying: Holding | None, read_at: datetime, calendar: TradingDays, quoted: LatestPrice | None = None
) -> LatestPrice | None:
    """The latest price known: the market data's, else the position's own, else its last close.

    `underlying` is the position in it, where one is held. The API does not say when a position was priced: `read_at`
    stands for it.
    """
    if quoted is not None and quoted.price > 0:
        return quoted
    if underlying is None:
        return None
    if underlying.instrument_price is not None and underlying.instrument_price > 0:
        return LatestPrice(underlying.instrument_price, read_at, PriceSource.POSITION)
    day, price = underlying.closing_price_date, underlying.closing_price
    close = calendar.session_on(day) if day else None
    if close is None or price is None or price <= 0:
        return None
    return LatestPrice(price, close.closes, PriceSource.CLOSE)


def closing_price_of(underlying: Holding | None, day: date) -> Decimal | None:
    """The close dated `day`; None where the position shows another day's."""
    if underlying is None or underlying.closing_price_date != day or not underlying.closing_price:
        return None
    return underlying.closing_price if underlying.closing_price > 0 else None


def deciding_price(
    terms: Terms,
    session: Session,
    now: datetime,
    *,
    latest: LatestPrice | None = None,
    close: Decimal | None = None,
    given: Decimal | None = None,
) -> DecidingPrice:
    """The price that tells the outcome of a contract under these terms at `now`.

    `session` is its last one; for AM settlement the one at whose opening it settles. `close` is the underlying's of
    that day, where it is known, `given` a close, or an opening settlement, to assume.
    """
    if terms.multiplier is None:
        return DecidingPrice(Basis.ADJUSTED, session, None, latest)
    if given is not None:
        return DecidingPrice(Basis.GIVEN, session, given, latest)
    if terms.settles_at is not SettlesAt.CLOSE:
        basis = Basis.NOT_SAID if terms.settles_at is None else Basis.OPENING_SETTLEMENT
        return DecidingPrice(basis, session, None, latest)
    if now >= session.closes:
        basis = Basis.CLOSE_NOT_KNOWN if close is None else Basis.CLOSE
        return DecidingPrice(basis, session, close, latest)
    if latest is None:
        return DecidingPrice(Basis.NO_PRICE, session, None, None)
    return DecidingPrice(Basis.LATEST, session, latest.price, latest)


def early_price(terms: Terms, session: Session, latest: LatestPrice | None) -> DecidingPrice:
    """The price that tells what exercising for shares before expiration is worth: the latest one, whatever the hour."""
    if terms.multiplier is None:
        return DecidingPrice(Basis.ADJUSTED, session, None, latest)
    return DecidingPrice(Basis.LATEST if latest else Basis.NO_PRICE, session, latest.price if latest else None, latest)


def _shown(price: Decimal | None) -> str:
    return "no price" if price is None else plain(price)


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
    unlisted: Sequence[AskedInstruction] = ()
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
        return Underlyings(self.book.positions)

    @cached_property
    def options(self) -> Mapping[str, Sequence[Position]]:
        """The options of the book, by the name of their underlying in upper case."""
        found: defaultdict[str, list[Position]] = defaultdict(list)
        for position in self.book.positions:
            if position.is_option:
                found[self.name_of(position).upper()].append(position)
        return found

    def evening_of(self, claim: Claim) -> date | None:
        """The day that an instruction was sent for, as far as that is known."""
        return claim.instruction.evening(self.calendar, self.deadline)

    def is_on(self, option: Position, underlying: str) -> bool:
        """Whether an option is on the underlying of this symbol, in either spelling of a class."""
        return as_root(self.name_of(option)) == as_root(underlying)

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
