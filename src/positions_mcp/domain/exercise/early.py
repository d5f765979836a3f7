"""Exercising before the expiration day: for which day it is sent, what it gives up, and what it may be for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.quotes import intrinsic_value
from positions_mcp.domain.account.sessions import Session, minute, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session
from positions_mcp.domain.exercise.terms import Terms
from positions_mcp.domain.money import ZERO, exact_product


@dataclass(frozen=True, slots=True)
class EarlyExercise:
    """An exercise that does not wait for expiration. None of a figure: not known."""

    session: Session
    """The trading day it is sent for."""
    cutoff: datetime
    """Until when, in New York, it is taken for that day."""
    is_for_today: bool
    is_trading_day: bool
    """Whether today is one."""
    time_value: Decimal | None
    """Dollars in the option's own price above its intrinsic value, which exercising gives up."""
    next_ex_date: date | None
    """The underlying's next day without its dividend, where it is before expiration."""
    ex_dates_read: bool
    """Whether the underlying's dividends could be read at all."""
    refusal: str = ""
    """Why it cannot be sent at all."""

    @property
    def said(self) -> tuple[str, ...]:
        """In sentences, for a card."""
        if self.refusal:
            return (self.refusal,)
        why = "today's cut-off is over" if self.is_trading_day else "today is not a trading day"
        when = "today" if self.is_for_today else f"{self.session.day.isoformat()}, as {why}"
        cutoff = minute(self.cutoff)
        lines = [f"Early exercise, irrevocable once accepted: sent for {when}, cut-off {cutoff}."]
        if self.time_value is None:
            lines.append("The time value it gives up is not known.")
        elif self.time_value:
            lines.append(f"Gives up {self.time_value:,.2f} of time value: selling the option would keep it.")
        else:
            lines.append("It gives up no time value at these prices.")
        if self.next_ex_date:
            lines.append(f"Next ex-dividend date {self.next_ex_date.isoformat()}.")
        elif not self.ex_dates_read:
            lines.append("The next ex-dividend date is not known.")
        return tuple(lines)


def early_exercise(
    option: Holding,
    quantity: int,
    terms: Terms,
    *,
    now: datetime,
    calendar: TradingDays,
    deadline: DeadlineRule,
    price: Decimal | None = None,
    ex_dates: Iterable[date] | None = None,
) -> EarlyExercise | None:
    """What exercising before expiration means; None on the option's last day, or where its symbol cannot be read.

    Args:
        option: a long position.
        quantity: contracts to exercise.
        terms: how they are exercised.
        now: the exchange's present instant.
        calendar: the trading days.
        deadline: the cut-off of a day.
        price: the latest price of the underlying.
        ex_dates: ex-dividend dates of the underlying; None where they could not be read.
    """
    contract = option.contract
    if contract is None:
        return None
    session = sent_for(now, calendar, deadline)
    last = expiry_session(contract.expiration, calendar)
    if session.day >= last.day:
        return None
    refusal = ""
    if not terms.may_be_exercised_early:
        refusal = f"{contract.compact} is European: it is exercised at expiration only, on {last.day.isoformat()}."
    own, size = option.instrument_price, terms.multiplier
    time_value = None
    if own is not None and price is not None and size is not None:
        time_value = exact_product(max(own - intrinsic_value(contract, price), ZERO), size, quantity)
    today = new_york_day(now)
    return EarlyExercise(
        session=session,
        cutoff=deadline.on(session),
        is_for_today=session.day == today,
        is_trading_day=calendar.session_on(today) is not None,
        time_value=time_value,
        next_ex_date=min((day for day in ex_dates or () if today < day <= last.day), default=None),
        ex_dates_read=ex_dates is not None,
        refusal=refusal,
    )


def sent_for(now: datetime, calendar: TradingDays, deadline: DeadlineRule) -> Session:
    """The trading day that an instruction sent now counts for: today until its cut-off, then the next one."""
    session = calendar.next_session(new_york_day(now))
    if now < deadline.on(session):
        return session
    return calendar.next_session(session.day + timedelta(days=1))
