"""Prices and hours of the paper market: pure functions of the instrument and the instant.

The same book asked about the same instant always sees the same price, in every process and after every restart, and
nothing has to be stored. All arithmetic is in integers and decimals, so it is the same on every machine.

Shares follow value noise: at each of four time scales a hash gives a height to each lattice point, with straight lines
between. A price can therefore never leave the band `price × (1 ± volatility × 0.16)`. Prices move only during
regular sessions, every five seconds. Options are worth their intrinsic value plus a time value that is largest at
the money, follows the square root of the time left, and is gone when the contract's last session closes. Put–call
parity holds exactly, at an interest rate of nought.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from positions_mcp.domain.account.sessions import NEW_YORK, Session, new_york_day
from positions_mcp.paper.holdings import Instrument
from positions_mcp.ports import MarketCalendar

CENT = Decimal("0.01")
DEADLINE = time(17, 30)
"""Until when a customer may instruct on expiry day, New York time."""
AFTER_AN_EARLY_CLOSE = timedelta(minutes=90)
"""Until when after an early close (FINRA Rule 2360(b)(23)(A)(viii)): after one at 13:00 the deadline is 14:30."""
MORNING = time(4, 0)
PROCESSING = time(18, 0)
"""When exercises are processed and contracts expire on the paper exchange, New York time."""

_TICK_SECONDS = 5
_SWING = Decimal("0.08")
_LATTICES = ((172_800, 50), (14_400, 25), (1_800, 15), (60, 10))
_MILLION = 1_000_000
_YEAR_MINUTES = Decimal(365 * 24 * 60)
_AT_THE_MONEY = Decimal("0.4")
_REACH = Decimal(3)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT)


class Market:
    """The paper market of one book. `anchor` is the instant at which every instrument costs its scenario's price."""

    def __init__(self, calendar: MarketCalendar, anchor: datetime, seed: str) -> None:
        self._calendar = calendar
        self._sessions: dict[date, Session | None] = {}
        self._anchor = int(anchor.timestamp())
        self._seed = seed

    def price(self, instrument: Instrument, underlying: Instrument, moment: datetime) -> Decimal | None:
        """The price of a share or of one share's worth of a contract, to the cent."""
        spot = self._spot(underlying, moment)
        if spot is None or instrument.contract is None:
            return spot
        return self.option(instrument, spot, underlying.volatility, moment)

    def _spot(self, instrument: Instrument, moment: datetime) -> Decimal | None:
        if instrument.price is None:
            return None
        if instrument.halted_at is not None:
            moment = min(moment, instrument.halted_at)
        for at, price in instrument.stated:
            if at == moment:
                return price
        path = f"{self._seed}|{instrument.symbol}"
        moved = Decimal(_height(path, int(moment.timestamp())) - _height(path, self._anchor)) / _MILLION
        return cents(instrument.price * (1 + instrument.volatility * _SWING * moved))

    def option(self, instrument: Instrument, spot: Decimal, volatility: Decimal, moment: datetime) -> Decimal:
        """What a contract costs, per share of its multiplier, while its underlying is at `spot`."""
        contract = instrument.contract
        assert contract, instrument
        spot = spot * instrument.shares / instrument.multiplier
        distance = spot - contract.strike
        intrinsic = max(distance if contract.right == "call" else -distance, Decimal(0))
        minutes = int((self.last_trade(instrument) - moment).total_seconds()) // 60
        if minutes <= 0:
            return intrinsic
        deviation = spot * volatility * (minutes / _YEAR_MINUTES).sqrt()
        nearness = max(1 - abs(distance) / (_REACH * deviation), Decimal(0)) if deviation else Decimal(0)
        time_value = _AT_THE_MONEY * deviation * nearness * nearness
        return max(cents(intrinsic + time_value), CENT)

    def trading_moment(self, instant: datetime) -> datetime:
        """The last instant up to `instant` at which prices moved: within a session, or the last session's close."""
        session = self.trading_day(instant)
        if instant >= session.closes:
            return session.closes
        seconds = int(instant.timestamp())
        return datetime.fromtimestamp(seconds - seconds % _TICK_SECONDS, tz=session.opens.tzinfo)

    def trading_day(self, instant: datetime) -> Session:
        """The session that is on, or the last one that was."""
        today = new_york_day(instant)
        session = self.session_on(today)
        return session if session and session.opens <= instant else self._calendar.previous_session(today)

    def previous_close(self, instant: datetime) -> Session:
        """The session whose closing price profit of the day is measured from."""
        return self._calendar.previous_session(self.trading_day(instant).day)

    def last_close(self, instant: datetime) -> Session:
        """The session whose closing price is the latest known: today's from its close on."""
        session = self.trading_day(instant)
        return session if session.closes <= instant else self._calendar.previous_session(session.day)

    def session_at(self, instant: datetime) -> Session | None:
        session = self.session_on(new_york_day(instant))
        return session if session and session.contains(instant) else None

    def next_session(self, instant: datetime) -> Session:
        return self._calendar.state_at(instant).next

    def session_after(self, day: date) -> Session:
        return self._calendar.next_session(day + timedelta(days=1))

    def session_on(self, day: date) -> Session | None:
        if day not in self._sessions:
            self._sessions[day] = self._calendar.session_on(day)
        return self._sessions[day]

    def last_trade(self, option: Instrument) -> datetime:
        """When a contract stops trading: the close of its last day, or the one before if that day's opening decides."""
        session = self.last_session(option)
        return self._calendar.previous_session(session.day).closes if option.settles_at_open else session.closes

    def settlement(self, option: Instrument) -> datetime:
        """The instant whose price of the underlying decides what a contract is worth in the end."""
        session = self.last_session(option)
        return session.opens if option.settles_at_open else session.closes

    def ends(self, option: Instrument) -> datetime:
        """When a contract is exercised or expires."""
        return self.processing(self.last_session(option).day)

    def last_session(self, option: Instrument) -> Session:
        """The session whose evening ends a contract: of its expiration date, or the last one before a closed day."""
        assert option.contract, option
        day = option.contract.expiry
        return self.session_on(day) or self._calendar.previous_session(day)

    def deadline(self, day: date) -> datetime:
        """Until when instructions are taken on `day`."""
        usual = datetime.combine(day, DEADLINE, NEW_YORK)
        session = self.session_on(day)
        return session.closes + AFTER_AN_EARLY_CLOSE if session and session.early_close else usual

    def last_moment(self, option: Instrument) -> datetime:
        """Until when instructions on a contract are taken: one that an opening settles is decided then."""
        session = self.last_session(option)
        deadline = self.deadline(session.day)
        return min(deadline, session.opens) if option.settles_at_open else deadline

    def morning(self, day: date) -> datetime:
        """When dividends and splits of `day` happen, before anything trades."""
        return datetime.combine(day, MORNING, NEW_YORK)

    def processing(self, day: date) -> datetime:
        """When exercises of `day` are processed and its contracts expire."""
        return datetime.combine(day, PROCESSING, NEW_YORK)

    def next_processing(self, after: datetime) -> datetime:
        """The first processing strictly after an instant."""
        day = new_york_day(after)
        session = self._calendar.next_session(day)
        if self.processing(session.day) <= after:
            session = self._calendar.next_session(day + timedelta(days=1))
        return self.processing(session.day)


def _height(path: str, second: int) -> int:
    """The height of a path in millionths, between −1 and 1."""
    total = 0
    for period, weight in _LATTICES:
        point, rest = divmod(second, period)
        left, right = _lattice(path, period, point), _lattice(path, period, point + 1)
        total += weight * (left + (right - left) * rest // period)
    return total // 100


@lru_cache(maxsize=65536)
def _lattice(path: str, period: int, point: int) -> int:
    digest = blake2b(f"{path}|{period}|{point}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % (2 * _MILLION + 1) - _MILLION
