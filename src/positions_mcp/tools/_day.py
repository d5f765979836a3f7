"""What an answer says of cash, and of the profit or loss of the day: what it counts, and whose day it is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import ZERO, exact_sum, plain
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import clean
from positions_mcp.tools.context import ToolContext

_NOT_GIVEN = "not given"
_HALF_A_CENT = Decimal("0.005")
"""What rounding may add for each position; a difference of that size is of nothing that was closed."""


def session_day(context: ToolContext) -> date:
    """The day whose profit or loss is shown: today once its session has begun, else that of the last session."""
    now = context.clock.now()
    today = new_york_day(now)
    session = context.calendar.session_on(today)
    return today if session and session.opens <= now else context.calendar.previous_session(today).day


def day_of(context: ToolContext, totals: Totals) -> dict[str, str] | None:
    """The day and the realized part of its profit or loss, beside the unrealized one; None where neither is known."""
    unrealized, realized = totals.day_unrealized.total, totals.day_realized
    if (unrealized is None and realized.total is None) or not totals.positions:
        return None
    said = {"date": session_day(context).isoformat()}
    if realized.amount:
        said["unrealized"] = _NOT_GIVEN if unrealized is None else plain(unrealized)
    said["realized"] = _NOT_GIVEN if realized.total is None else plain(realized.total)
    if realized.missing and realized.known:
        said["realized_not_given_of"] = str(realized.missing)
    return said


def closed_altogether(context: ToolContext, balances: Balances | NotKnown, totals: Totals) -> dict[str, str]:
    """What the balances have realized beyond what positions still listed have: of what was closed altogether.

    Nothing between sessions' days: balances may have begun another day than the one that positions still show.
    """
    if isinstance(balances, NotKnown) or balances.daily_realized_pnl is None:
        return {}
    if session_day(context) != new_york_day(context.clock.now()):
        return {}
    listed = totals.day_realized.total or ZERO
    beyond = exact_sum((balances.daily_realized_pnl, listed.copy_negate()))
    rounding = _HALF_A_CENT * (totals.positions + 1)
    return {"realized_no_longer_listed": plain(beyond)} if abs(beyond) > rounding else {}


def day_line(context: ToolContext, day: dict[str, str] | None) -> list[str]:
    """The line of text that says so, where there is anything to say."""
    if day is None:
        return []
    today = new_york_day(context.clock.now()).isoformat()
    whose = f"Day P&L, {day['date']}" if day["date"] == today else f"Day P&L is of {day['date']}, the last session"
    beyond = ""
    if "realized_no_longer_listed" in day:
        realized = day["realized_no_longer_listed"]
        beyond = f" Closed altogether and no longer listed: realized {realized} today (balances)."
    if day["realized"] == _NOT_GIVEN:
        return [f"{whose}: unrealized only; positions give no realized part.{beyond}"]
    lacking = f" (not given for {day['realized_not_given_of']})" if "realized_not_given_of" in day else ""
    open_part = f"unrealized {day['unrealized']} + " if "unrealized" in day else "all unrealized, "
    return [f"{whose}: {open_part}realized {day['realized']}{lacking}.{beyond}"]


_FIGURES = ("settled_cash", "trade_cash", "withdrawable_cash", "buying_power")


async def read_balances(context: ToolContext, account: AccountId) -> Balances | NotKnown:
    reader = context.neighbours.balances
    return await known("balances", reader.read_balances(account) if reader else None)


def cash_of(balances: Balances | NotKnown) -> dict[str, str]:
    """The figures of cash that are known, or why none is."""
    if isinstance(balances, NotKnown):
        return {"not_known": clean(balances.reason, 200)}
    figures = {name: value for name in _FIGURES if (value := getattr(balances, name)) is not None}
    if not figures:
        return {"not_known": "the balances say nothing of it."}
    currency = {"currency": clean(balances.currency, 8)} if balances.currency else {}
    return {**{name: plain(value) for name, value in figures.items()}, **currency}


def cash_line(cash: dict[str, str]) -> str:
    if "not_known" in cash:
        return (
            "Cash: not known here. Positions list only what the API books as a CASH position, and balances, where cash "
            f"stands, could not be read: {cash['not_known']}"
        )
    return f"Cash, from balances: {', '.join(f'{name} {value}' for name, value in cash.items())}."
