"""How answers say things: who and when first, numbers exactly as the API has them, missing as missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.quotes import Moneyness
from positions_mcp.domain.account.sessions import NEW_YORK, MarketState, minute, new_york_day
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId, is_uuid
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.resolve import Spellings
from positions_mcp.domain.portfolio.select import ExpiringOption
from positions_mcp.domain.portfolio.totals import Sum, Totals
from positions_mcp.domain.text import clean, label
from positions_mcp.ports import MarketCalendar
from positions_mcp.tools._definition import Data
from positions_mcp.tools.context import ToolContext

MISSING = "missing"
"""Stands where the API gave no value. Never a zero."""

FIGURES = ("day_pnl", "unrealized_pnl", "unrealized_pnl_pct", "cost_basis", "gross_cost")
"""Profit, loss and cost, as totals give them."""
EXPIRY_COLUMNS = ["moneyness", "distance", "underlying_price"]
_MONEYNESS = {Moneyness.IN: "ITM", Moneyness.AT: "ATM", Moneyness.OUT: "OTM", Moneyness.UNKNOWN: "unknown"}
_LONGEST_NAME = 40
_BARE_CELL = re.compile(r"[A-Za-z0-9_.:/+-]*", re.ASCII)


class Heading(Data):
    """What every answer about an account begins with."""

    mode: str
    account_id: int | None = None
    """Absent where an answer is about every account."""
    as_of: str
    market: str

    @property
    def text(self) -> str:
        """The first line of the text: PAPER or LIVE, account, when it was read, and the market."""
        whose = f"account {self.account_id}" if self.account_id is not None else "all accounts"
        return f"{self.mode} {whose}, read {self.as_of}; market {self.market}."


def heading(context: ToolContext, account: AccountId, as_of: datetime) -> Heading:
    """The heading of an answer about `account` as it was at `as_of`."""
    state = context.calendar.state_at(context.clock.now())
    market = market_words(state)
    if not state.is_open:
        # "Today" is then the last session, which a holiday may have put days back.
        market = market.replace("closed", f"closed since {minute(_last_close(context.calendar, state.at))}", 1)
    return Heading(mode=context.mode.shown, account_id=account, as_of=context.said(as_of), market=market)


def _last_close(calendar: MarketCalendar, now: datetime) -> datetime:
    today = new_york_day(now)
    session = calendar.session_on(today)
    last = session if session and session.closes <= now else calendar.previous_session(today)
    return last.closes


def market_words(state: MarketState) -> str:
    """`open until 16:00 New York`, or `closed, opens 2026-11-23 09:30 New York`: regular sessions."""
    if state.current:
        early = " (early close)" if state.current.early_close else ""
        return f"open until {state.current.closes.astimezone(NEW_YORK):%H:%M} New York{early}"
    return f"closed, opens {minute(state.next.opens)}"


def locked_words(count: int) -> str:
    """`none locked`, `2 locked by open orders or instructions`."""
    return f"{count} locked by open orders or instructions" if count else "none locked"


def number(value: Decimal | None) -> str:
    """A number with the digits it came with, or that it is missing."""
    return MISSING if value is None else plain(value)


def short_moneyness(moneyness: Moneyness) -> str:
    """ITM, ATM, OTM, or unknown where the account does not hold the underlying or it has no price."""
    return _MONEYNESS[moneyness]


def expiry_cells(option: ExpiringOption) -> list[str]:
    """What stands under `EXPIRY_COLUMNS`: distance and price in dollars per share."""
    return [short_moneyness(option.moneyness), number(option.distance), number(option.price)]


def sums(totals: Totals, *names: str) -> dict[str, str]:
    """The named sums that are known at all, as an answer gives them."""
    said: dict[str, Sum | Decimal | None] = {name: getattr(totals, name) for name in names}
    known = {name: each.total if isinstance(each, Sum) else each for name, each in said.items()}
    return {name: plain(value) for name, value in known.items() if value is not None}


def missing(totals: Totals) -> dict[str, int]:
    """How many values the sums lack, by what is missing; empty where nothing is."""
    counts = {
        "market_value": totals.net.missing,
        "day_pnl": totals.day_pnl.missing,
        "unrealized_pnl": totals.unrealized_pnl.missing,
        "cost_basis": totals.cost_basis.missing if totals.cost_basis.known else 0,
        "available": totals.lock_unknown,
    }
    return {name: count for name, count in counts.items() if count}


def contradictions(totals: Totals) -> list[str]:
    """That positions contradict themselves, in words; nothing where none does."""
    count = totals.contradicting
    if not count:
        return []
    whose = "position's quantity has" if count == 1 else "positions' quantities have"
    return [f"{count} {whose} another sign than the API's position type says; counted as short"]


def missing_line(counts: dict[str, int] | None) -> list[str]:
    """The line of text that says so, if anything is missing."""
    return [f"Missing, not zero: {', '.join(f'{name} of {n}' for name, n in counts.items())}."] if counts else []


def names_of(spellings: Spellings) -> Callable[[Holding], str]:
    """What answers call the positions of a book whose spellings these are.

    Usable as an argument, and never the same for two of them: a symbol that several share, that had characters hidden
    in it, or that looks like a UUID is followed by the UUID.
    """
    is_repeated = spellings.repeats()

    def name_of(position: Holding) -> str:
        name = position.contract.compact if position.contract else clean(position.symbol, _LONGEST_NAME)
        identifier = label(position.instrument_id)
        if not name:
            return identifier
        is_alone = not is_repeated(position) and (position.contract is not None or name == position.symbol)
        return name if is_alone and not is_uuid(name) else f"{name} [{identifier}]"

    return name_of


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as comma-separated lines under one line of column names; a cell that could break a line is quoted."""
    return "\n".join(",".join(map(_cell, row)) for row in (columns, *rows))


def spoken(columns: Sequence[str], rows: Sequence[Sequence[str]], *, always: int) -> tuple[list[str], list[list[str]]]:
    """The columns that say something in any row, and always the first ones; and the rows with these alone."""
    said = [place for place in range(len(columns)) if place < always or any(row[place] for row in rows)]
    return [columns[place] for place in said], [[row[place] for place in said] for row in rows]


def check_same(given: Mapping[str, object], listed: Mapping[str, object]) -> None:
    """Refuse a cursor together with arguments that its listing does not answer. Raises InvalidInput."""
    for name, value in given.items():
        if listed.get(name) != value:
            raise InvalidInput(
                f"The cursor continues a listing with another {name}.",
                hint="Pass the cursor alone, or list again without it.",
            )


def _cell(text: str) -> str:
    return text if _BARE_CELL.fullmatch(text) else '"' + clean(text, 400).replace('"', "'") + '"'
