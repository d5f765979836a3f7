"""Instruments as the paper exchange names them: tickers, OSI option symbols and deterministic identifiers.

The exchange keeps its own reading of the OSI format, apart from the client's, so that one misreading cannot hide in
both. The format: root, expiry as YYMMDD, C or P, strike in thousandths of a dollar as eight digits.

A scenario writes `AAPL today 190 call`, with an expiry relative to the book's first trading day.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from positions_mcp.ports import MarketCalendar

Right = Literal["call", "put"]

ROOT = r"(?=[A-Z0-9./]{1,6}(?![A-Z0-9./]))[0-9]?[A-Z][A-Z0-9./]*"
"""An option's root, six characters at most: a FLEX one has a digit before it, an adjusted one a digit behind."""
_OSI = re.compile(
    r"(?P<root>[0-9]?[A-Z][A-Z0-9./]{0,5}?) *(?P<expiry>[0-9]{6})(?P<right>[CP])(?P<strike>[0-9]{8})", re.ASCII
)
_LONGEST_ROOT = 6
_TICKER = re.compile(r"[A-Z][A-Z0-9]*(?:[./-][A-Z0-9]+| ?p[A-Z]| PR[A-Z])*", re.ASCII)
_LONGEST_TICKER = 12
_NAMESPACE = uuid.UUID("6f0d7b52-6d3c-5d0e-9a55-0c3b7a7c1e19")
_THOUSANDTH = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Contract:
    """A listed option contract over 100 shares of `root`."""

    root: str
    expiry: date
    right: Right
    strike: Decimal

    @property
    def compact(self) -> str:
        """The symbol without spaces, under which the book keeps it: `AAPL250117C00190000`."""
        return f"{self.root}{self._tail}"

    @property
    def padded(self) -> str:
        """The symbol as the API writes it, its root padded to six characters: `AAPL  250117C00190000`."""
        return f"{self.root:<6}{self._tail}"

    @property
    def _tail(self) -> str:
        day, right = self.expiry, "C" if self.right == "call" else "P"
        return f"{day.year % 100:02d}{day.month:02d}{day.day:02d}{right}{int(self.strike / _THOUSANDTH):08d}"


def parse_contract(text: str) -> Contract | None:
    """The contract an OSI symbol names, in any spacing between root and expiry; None if it is not one."""
    match = _OSI.fullmatch(text.strip())
    if not match or len(match["root"]) > _LONGEST_ROOT:
        return None
    try:
        day = match["expiry"]
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        return None
    right: Right = "call" if match["right"] == "C" else "put"
    return Contract(match["root"], expiry, right, int(match["strike"]) * _THOUSANDTH)


def canonical(text: str) -> str:
    """The one spelling under which the book keeps a symbol: compact OSI for options, the trimmed text otherwise."""
    contract = parse_contract(text)
    return contract.compact if contract else text.strip()


def is_ticker(text: str) -> bool:
    """Whether `text` can be a share's or an index's ticker: AAPL, BRK.B, BRK/B, BAC-PL, BAC PRL or BACpL."""
    return len(text) <= _LONGEST_TICKER and _TICKER.fullmatch(text) is not None


def root_names(root: str, ticker: str) -> bool:
    """Whether an option's root is a ticker's: the same, folded (BRKB, BRK.B), adjusted (AAPL1) or FLEX (1AAPL)."""
    folded = re.sub(r"[^A-Z0-9]", "", ticker)
    plain = re.sub(r"[./]", "", root)
    return folded in {plain, plain[1:] if plain[0].isdigit() else plain, plain.rstrip("0123456789")}


def instrument_id_of(symbol: str) -> str:
    """The UUID of an instrument by its canonical symbol: the same one in every book."""
    return str(uuid.uuid5(_NAMESPACE, symbol))


def as_uuid(text: str) -> str | None:
    """The canonical lower-case form of a hyphenated UUID; None for anything else."""
    if len(text) != 36:
        return None
    try:
        parsed = str(uuid.UUID(text))
    except ValueError:
        return None
    return parsed if parsed == text.lower() else None


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
