"""When an option trades for the last time, what is left to do about it afterwards, and what exercising it before means.

An option ends with the session of its expiration date, or with the last one before a closed day. One that the opening
settles (AM settlement) trades until the session before that. Regular trading ends with the session; options settled by
an opening and those on a few funds trade a quarter of an hour longer (rules of Cboe and NYSE Arca). What the API states
as the last trade goes before that, as far as it lies within a session and not after the contract's last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from positions_mcp.domain.account.market import ContractFacts, Dividend, next_dividend
from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.account.quotes import intrinsic_value
from positions_mcp.domain.account.sessions import NEW_YORK, Session, minute, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session, sent_for
from positions_mcp.domain.exercise.terms import SettlesAt, Terms, terms_of
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_product, plain

LONGER: Final = timedelta(minutes=15)
# fmt: off
LONGER_ON: Final = frozenset(
    (
        "DIA", "EEM", "EFA", "IWM", "IWN", "IWO", "KBE", "KRE", "MDY", "OEF", "QQQ", "SPY",
        "SVXY", "UNG", "UUP", "UVXY", "VIXY", "VXX", "XHB", "XLB", "XLE", "XLF", "XLI", "XLK",
        "XLP", "XLU", "XLV", "XLY", "XME", "XRT",
    )
)
# fmt: on
"""Funds whose options trade a quarter of an hour after the close, on their last day too. Reviewed 27 November 2026."""


@dataclass(frozen=True, slots=True)
class TradingEnd:
    """The last trade of an option that is held, the session whose evening or opening ends it, and its cut-off."""

    option: Position
    terms: Terms
    at: datetime
    """From then on it trades no more."""
    session: Session
    """The session in which it trades last."""
    ends: Session
    """The session of its expiration."""
    cutoff: datetime
    """From then on no exercise instruction is taken."""

    def is_over(self, now: datetime) -> bool:
        return now >= self.at

    def is_today(self, now: datetime) -> bool:
        """Whether it trades, or could be exercised, for the last time on the day of `now`."""
        return new_york_day(now) in (self.session.day, self.ends.day)

    def has_expired(self, now: datetime) -> bool:
        """Whether its expiration lies on a day before: what becomes of it is decided."""
        return new_york_day(now) > self.ends.day

    def said_ahead(self, name: str, now: datetime) -> str:
        """Of one that trades on, on its last day: until when, and until when it can be instructed."""
        until = f"{_clock(self.at)} New York{' (early close)' if self.session.early_close else ''}"
        if self.session.day != self.ends.day:
            day = self.ends.day.isoformat()
            return f"{name} trades for the last time today, until {until}: the opening of {day} settles it."
        return f"{name} expires today: its last trade is at {until}. {self.way(now)}"

    def said_over(self, now: datetime) -> str:
        """Of one that trades no more: since when."""
        day = f"{self.session.day.isoformat()} at {_clock(self.at)} New York"
        early = " (early close)" if self.session.early_close else ""
        if self.has_expired(now):
            return f"it expired on {self.ends.day.isoformat()}; its last trade was on {day}{early}"
        if self.session.day == self.ends.day:
            return f"its last trade was on {day}{early}"
        settles = "settled" if now >= self.ends.opens else "settles"
        return f"its last trade was on {day}{early}, and the opening of {self.ends.day.isoformat()} {settles} it"

    def way(self, now: datetime) -> str:
        """What can still be done about what its expiration does."""
        if self.has_expired(now):
            return "Nothing is left to do: the book does not show yet what became of it, or the broker has to look."
        if self.terms.in_cash and not self.terms.may_be_exercised_early:
            level = " at an opening level given to it" if self.terms.settles_at is SettlesAt.OPEN else ""
            shows = f"project_expiration shows what it comes to{level}"
            return f"It is settled in cash, so no instruction is needed: {shows}."
        if self.option.quantity < 0:
            return "Only its holder decides whether it is exercised: project_expiration shows what is assigned."
        until = f"{self.ends.day.isoformat()} at {_clock(self.cutoff)} New York"
        if now >= self.cutoff:
            return f"Exercise instructions ended on {until}: project_expiration shows what happens to it."
        return f"Exercise instructions are taken until {until} (preview_instructions)."


def last_trade(
    option: Position, facts: ContractFacts | None, calendar: TradingDays, deadline: DeadlineRule
) -> TradingEnd | None:
    """When an option trades for the last time; None for what is none, or whose symbol cannot be read."""
    contract = option.contract
    if contract is None:
        return None
    ends, terms = expiry_session(contract.expiration, calendar), terms_of(option, facts)
    at_the_opening = terms.settles_at is SettlesAt.OPEN
    session = calendar.previous_session(ends.day) if at_the_opening else ends
    longer = at_the_opening or contract.underlying_root in LONGER_ON
    at = session.closes + (LONGER if longer else timedelta())
    if (stated := facts.last_trade_cutoff if facts else None) is not None:
        on = calendar.session_on(new_york_day(stated))
        if on is not None and on.day <= session.day and on.opens < stated <= on.closes + LONGER:
            session, at = on, stated
    return TradingEnd(option, terms, at, session, ends, last_moment(terms, ends, deadline))


def last_moment(terms: Terms, last: Session, deadline: DeadlineRule) -> datetime:
    """From when no instruction is taken in the `last` session of an option: what an opening settles, it ends too."""
    ends = deadline.on(last)
    return min(ends, last.opens.astimezone(NEW_YORK)) if terms.settles_at is SettlesAt.OPEN else ends


def _clock(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M}"


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
    dividend: Dividend | None
    """The underlying's next one, where it is before expiration."""
    dividends_read: bool
    """Whether the underlying's dividends could be read at all."""
    buys: bool
    """Whether exercising brings shares, and with them the dividends of later ex-dates: that of a call does."""
    is_style_known: bool = True
    """Whether it is known that it may be exercised before expiration."""
    refusal: str = ""
    """Why it cannot be sent at all."""

    @property
    def said(self) -> tuple[str, ...]:
        if self.refusal:
            return (self.refusal,)
        why = "today's cut-off is over" if self.is_trading_day else "today is not a trading day"
        when = "today" if self.is_for_today else f"{self.session.day.isoformat()}, as {why}"
        cutoff = minute(self.cutoff)
        lines = [f"Early exercise, irrevocable once accepted: sent for {when}, cut-off {cutoff}."]
        if not self.is_style_known:
            lines.append("Not known: whether it is American; a European option is not exercised before expiration.")
        if self.time_value is None:
            lines.append("The time value it gives up is not known.")
        elif self.time_value:
            lines.append(f"Gives up {self.time_value:,.2f} of time value: selling the option would keep it.")
        else:
            lines.append("It gives up no time value at these prices.")
        if self.dividend:
            lines.append(self._dividend_said(self.dividend))
        elif not self.dividends_read:
            lines.append("The next ex-dividend date is not known.")
        return tuple(lines)

    def _dividend_said(self, dividend: Dividend) -> str:
        amount = "amount not known" if dividend.amount is None else f"{plain(dividend.amount)} a share"
        late = self.buys and dividend.ex_date <= self.session.day
        missed = ": this exercise comes too late for that dividend" if late else ""
        return f"Next ex-dividend date {dividend.ex_date.isoformat()} ({amount}){missed}."


def early_exercise(
    option: Holding,
    quantity: int,
    terms: Terms,
    *,
    now: datetime,
    calendar: TradingDays,
    deadline: DeadlineRule,
    price: Decimal | None = None,
    dividends: Iterable[Dividend] | None = None,
) -> EarlyExercise | None:
    """What exercising a long option before expiration means; None on its last day, or where its symbol cannot be read.

    `price` is the latest of the underlying, `dividends` are its own: None where they could not be read.
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
        dividend=next_dividend((each for each in dividends or () if each.ex_date <= last.day), today),
        dividends_read=dividends is not None,
        buys=contract.right is OptionRight.CALL,
        is_style_known=terms.style is not None,
        refusal=refusal,
    )
