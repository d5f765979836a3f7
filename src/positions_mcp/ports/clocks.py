"""The time, the market's sessions, and identifiers: what tests put in place of the machine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date, datetime

    from positions_mcp.domain.account.sessions import MarketState, Session


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class Ids(Protocol):
    """Makes identifiers."""

    def new(self) -> str:
        """A new UUID in its canonical lower-case form."""


class MarketCalendar(Protocol):
    """Knows the New York trading sessions."""

    def session_on(self, day: date) -> Session | None:
        """The regular session of `day`, or None on a weekend or holiday."""

    def next_session(self, day: date) -> Session:
        """The first session on `day` or after it."""

    def previous_session(self, day: date) -> Session:
        """The last session strictly before `day`."""

    def state_at(self, instant: datetime) -> MarketState:
        """Whether the market is in its regular session at `instant`, and which session comes next."""
