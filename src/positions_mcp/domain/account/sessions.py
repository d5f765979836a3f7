"""Trading sessions of the New York market, as values.

Everything here is a fact about time; which days are sessions comes from a `positions_mcp.ports.MarketCalendar`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
"""Every "day" and every "today" of this program is a day in this zone."""


@dataclass(frozen=True, slots=True)
class Session:
    """One regular trading session: a New York day with the aware instants at which it opens and closes."""

    day: date
    opens: datetime
    closes: datetime
    early_close: bool = False

    def __post_init__(self) -> None:
        if not self.opens < self.closes:
            raise ValueError(f"a session opens before it closes: {self.opens} … {self.closes}")

    def contains(self, instant: datetime) -> bool:
        """Whether regular trading is on at `instant` (the closing instant is outside)."""
        return self.opens <= instant < self.closes


@dataclass(frozen=True, slots=True)
class MarketState:
    """The market at one instant: the session it is in, or the next one to come."""

    at: datetime
    current: Session | None
    next: Session

    @property
    def is_open(self) -> bool:
        return self.current is not None


def new_york_day(instant: datetime) -> date:
    """The New York calendar day of an aware instant. Raises ValueError where it has no zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return instant.astimezone(NEW_YORK).date()


def start_of_new_york_day(instant: datetime) -> datetime:
    """Midnight in New York before an aware instant, or that instant."""
    return datetime.combine(new_york_day(instant), time(), NEW_YORK)


def next_new_york_day(instant: datetime) -> datetime:
    """The next midnight in New York."""
    return datetime.combine(new_york_day(instant) + timedelta(days=1), time(), NEW_YORK)


def moment(instant: datetime) -> str:
    """How a time is said, with its zone: `2026-11-20 10:30:00 New York`."""
    return _said(instant, "%Y-%m-%d %H:%M:%S")


def minute(instant: datetime) -> str:
    """The same where seconds say nothing: `2026-11-20 10:30 New York`."""
    return _said(instant, "%Y-%m-%d %H:%M")


def _said(instant: datetime, form: str) -> str:
    """Of the hour that New York's clocks show twice in autumn also which one it is."""
    here = instant.astimezone(NEW_YORK)
    twice = here.utcoffset() != here.replace(fold=1 - here.fold).utcoffset()
    return f"{here:{form}} New York{f' ({here.tzname()})' if twice else ''}"
