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

_OSI = re.compile(r"(?P<root>[A-Z][A-Z0-9.]{0,5}) *(?P<expiry>[0-9]{6})(?P<right>[CP])(?P<strike>[0-9]{8})", re.ASCII)
_TICKER = re.compile(r"[A-Z][A-Z0-9.]{0,9}", re.ASCII)
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
    if not match:
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
    """Whether `text` can be an equity's ticker."""
    return _TICKER.fullmatch(text) is not None


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
