"""Instruments as the paper exchange names them: tickers, OSI option symbols and deterministic identifiers.

The exchange keeps its own reading of the OSI format, apart from the client's, so that one misreading cannot hide in
both. The format: root, expiry as YYMMDD, C or P, strike in thousandths of a dollar as eight digits.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

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
