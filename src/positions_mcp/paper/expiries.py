"""How a scenario writes an option: `AAPL today 190 call`, with an expiry relative to the book's first trading day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from positions_mcp.paper.symbols import ROOT, Contract, Right
from positions_mcp.ports import MarketCalendar

_EXPIRY = r"today|tomorrow|\+[0-9]{1,3}[dw]|friday(?:\+[0-9]{1,2})?|month\+[0-9]{1,2}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
_STRIKE = r"[0-9]{1,5}(?:\.[0-9]{1,3})?"
_SERIES = re.compile(rf"(?P<root>{ROOT}) (?P<expiry>{_EXPIRY}) (?P<strike>{_STRIKE}) (?P<right>call|put)", re.ASCII)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class SeriesText:
    """An option with its expiry still in words."""

    root: str
    expiry: str
    strike: Decimal
    right: Right

    def contract(self, today: date, calendar: MarketCalendar) -> Contract:
        """The listed contract, seen from a book whose first trading day is `today`."""
        return Contract(self.root, expiry_date(self.expiry, today, calendar), self.right, self.strike)


def parse_series(text: str) -> SeriesText | None:
    """Reads `ROOT EXPIRY STRIKE call|put`; None if it is not that."""
    match = _SERIES.fullmatch(text)
    if not match:
        return None
    if match["expiry"][:2].isdigit():
        try:
            date.fromisoformat(match["expiry"])
        except ValueError:
            return None
    return SeriesText(
        match["root"], match["expiry"], Decimal(match["strike"]), "call" if match["right"] == "call" else "put"
    )


def expiry_date(text: str, today: date, calendar: MarketCalendar) -> date:
    """The session on which an expiry in words falls.

    `today`, `tomorrow`, `+3d`, `+2w`: that many days on, moved to the next session. `friday`, `friday+2`, `month+1`:
    a weekly or monthly (third Friday) expiry, on the session before where Friday is a holiday. A date stays what it is.
    """
    if text[:2].isdigit():
        return date.fromisoformat(text)
    if text == "today":
        return calendar.next_session(today).day
    if text == "tomorrow":
        return calendar.next_session(today + timedelta(days=1)).day
    if text.startswith("+"):
        days = int(text[1:-1]) * (7 if text.endswith("w") else 1)
        return calendar.next_session(today + timedelta(days=days)).day
    count = int(text.partition("+")[2] or 0)
    friday = _third_friday(today, count) if text.startswith("month") else _friday(today) + timedelta(weeks=count)
    if calendar.session_on(friday):
        return friday
    before = calendar.previous_session(friday).day
    return before if before >= today else calendar.next_session(friday).day


def _friday(today: date) -> date:
    return today + timedelta(days=(_FRIDAY - today.weekday()) % 7)


def _third_friday(today: date, months: int) -> date:
    year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
    return _friday(date(year, month + 1, 1)) + timedelta(weeks=2)


LONGEST = timedelta(days=200 * 365)
"""Beyond it there is no instant that the paper clock knows."""
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)?", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_of(text: str, *, usual_unit: str = "") -> timedelta | None:
    """The length that a text says, to the millisecond; None where it says none. A number alone has the usual unit."""
    match = _DURATION.fullmatch(text)
    unit = _MILLISECONDS.get((match[2] if match else None) or usual_unit)
    if match is None or unit is None:
        return None
    milliseconds = int(Decimal(match[1]) * unit)
    return timedelta(milliseconds=milliseconds) if milliseconds <= LONGEST // timedelta(milliseconds=1) else None
