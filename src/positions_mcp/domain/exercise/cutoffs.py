"""Until when an expiring option may still be exercised or given up.

FINRA Rule 2360(b)(23): the holder decides by 17:30 New York time on the expiration day, or an hour and a half after
the close where trading closes early. A broker may set an earlier time, never a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

from positions_mcp.domain.account.sessions import NEW_YORK, Session, new_york_day

_LATEST = time(17, 30)
_AFTER_THE_CLOSE = timedelta(minutes=90)


class TradingDays(Protocol):
    """Knows the days of trading; `ports.MarketCalendar` is one."""

    def session_on(self, day: date) -> Session | None:
        """The regular session of `day`, or None on a weekend or holiday."""

    def next_session(self, day: date) -> Session:
        """The first session on `day` or after it."""

    def previous_session(self, day: date) -> Session:
        """The last session strictly before `day`."""


@dataclass(frozen=True, slots=True)
class DeadlineRule:
    """The time of day, in New York, from which no instruction is taken. Raises ValueError for one later than 17:30."""

    latest: time = _LATEST

    def __post_init__(self) -> None:
        if self.latest.tzinfo is not None or self.latest > _LATEST:
            raise ValueError(f"the exercise deadline is a New York time of day up to {_LATEST:%H:%M}: {self.latest}")

    def on(self, session: Session) -> datetime:
        """The instant from which no more instructions are taken on the day of `session`."""
        return min(datetime.combine(session.day, self.latest, NEW_YORK), session.closes + _AFTER_THE_CLOSE)


def expiry_session(expiration: date, calendar: TradingDays) -> Session:
    """The session whose deadline ends the contract: its expiration day's, or the last before it on a closed day."""
    return calendar.session_on(expiration) or calendar.previous_session(expiration)


def settlement_day(evening: date, calendar: TradingDays) -> date:
    """When shares and cash of an exercise of that evening are due: the next business day on which anything settles.

    On Columbus Day and Veterans Day the exchanges trade and the banks are closed: nothing settles (FINRA's notices).
    """
    day = calendar.next_session(evening + timedelta(days=1)).day
    is_monday = day.weekday() == 0
    columbus_day = is_monday and day.month == 10 and 8 <= day.day <= 14
    veterans_day = day.month == 11 and (day.day == 11 or (day.day == 12 and is_monday))
    return calendar.next_session(day + timedelta(days=1)).day if columbus_day or veterans_day else day


def last_dated(day: date, calendar: TradingDays) -> date:
    """The last date of a contract that ends by `day`: one dated on a closed day ends with the session before it."""
    if day.year == date.max.year:  # there is no later session to look for
        return day
    return calendar.next_session(day + timedelta(days=1)).day - timedelta(days=1)


def sent_for(now: datetime, calendar: TradingDays, deadline: DeadlineRule) -> Session:
    """The trading day that an instruction sent now counts for: today until its cut-off, then the next one."""
    session = calendar.next_session(new_york_day(now))
    if now < deadline.on(session):
        return session
    return calendar.next_session(session.day + timedelta(days=1))
