"""The time, the market's sessions, and identifiers: what tests put in place of the machine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from positions_mcp.domain.exercise.cutoffs import TradingDays

if TYPE_CHECKING:
    from datetime import datetime

    from positions_mcp.domain.account.sessions import MarketState


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class Ids(Protocol):
    """Makes identifiers."""

    def new(self) -> str:
        """A new UUID in its canonical lower-case form."""


class MarketCalendar(TradingDays, Protocol):
    """Knows the New York trading sessions."""

    def state_at(self, instant: datetime) -> MarketState:
        """Whether the market is in its regular session at `instant`, and which session comes next."""
