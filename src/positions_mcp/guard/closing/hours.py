"""The exchange's present instant, its sessions and the cut-off for instructions, by which a close is judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.sessions import MarketState, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session
from positions_mcp.domain.exercise.last_trade import TradingEnd, last_trade
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import MarketCalendar

_LONGEST_CLOSURE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Hours:
    """What time it is on the exchange, and what that means for an option."""

    now: datetime
    calendar: MarketCalendar
    deadline: DeadlineRule

    @classmethod
    def of(cls, deps: Dependencies) -> Self:
        """As they are now."""
        return cls(deps.market_clock.now(), deps.calendar, DeadlineRule(deps.policy.exercise_deadline))

    @property
    def market(self) -> MarketState:
        """The session that is on, or the next one."""
        return self.calendar.state_at(self.now)

    def are_over(self, expiration: date) -> bool:
        """Whether options of that expiration have expired on a day before: see `TradingEnd.has_expired`."""
        today = new_york_day(self.now)
        return expiration < today or (
            expiration <= today + _LONGEST_CLOSURE and expiry_session(expiration, self.calendar).day < today
        )

    def last_trade(self, position: Position, account: Account) -> TradingEnd | None:
        """When a position trades for the last time, by the API's facts where they were read; None if not an option."""
        facts = account.beside.contracts.get(position.instrument_id)
        return last_trade(position, facts, self.calendar, self.deadline)
