"""OSI option symbols: root, expiration, right and strike.

The Options Symbology Initiative's form is the root padded to six characters, the expiration as YYMMDD, C or P, and
the strike in thousandths with eight digits: `AAPL  280121C00195000`. The API and people also write it with fewer
spaces or none. Symbols are compared by what they mean, never by their letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

STANDARD_MULTIPLIER = 100
"""Shares behind one standard equity option. An adjusted contract (its root ends in a digit) may deliver otherwise."""

_OSI = re.compile(r"\s*([0-9]?[A-Z][A-Z0-9./]{0,5}?)\s*(\d{6})\s*([CP])\s*(\d{8})\s*", re.ASCII)
_SPELLED_OUT = re.compile(
    r"([0-9]?[A-Z][A-Z0-9./]{0,5})\s+(20\d\d-\d\d-\d\d)\s+(?:(C|P|CALLS?|PUTS?)\s+(\d{1,5}(?:\.\d{1,3}0*)?)"
    r"|(\d{1,5}(?:\.\d{1,3}0*)?)\s*(C|P|CALLS?|PUTS?))",
    re.ASCII,
)
_WITH_ID = re.compile(r"(.*\S)\s*\[([0-9a-fA-F-]{36})\]", re.ASCII | re.DOTALL)
_DIVIDED = re.compile(r'"?[A-Za-z0-9]+([./ -][A-Za-z0-9]+)*"?', re.ASCII)
_ROOT_ALONE = re.compile(r"\s*[0-9]?([A-Z][A-Z./]{0,7})", re.ASCII)
_LARGEST_STRIKE = Decimal("99999.999")
SHORTEST_OSI = len("F280121C00195000")
"""No shorter text names an option."""
_LONGEST_REMEMBERED = 40
_MOST_REMEMBERED = 10_000
_remembered: dict[str, OptionContract | None] = {}


class OptionRight(StrEnum):
    """What the holder of an option may do with the underlying: buy it (CALL) or sell it (PUT)."""

    CALL = "CALL"
    PUT = "PUT"


@dataclass(frozen=True, slots=True, order=True)
class OptionContract:
    """An option as its OSI symbol describes it. Strike in dollars per share."""

    root: str
    expiration: date
    right: OptionRight
    strike: Decimal

    def __post_init__(self) -> None:
        if not 0 <= self.strike <= _LARGEST_STRIKE or self.strike * 1000 % 1:
            raise ValueError(f"a strike is a multiple of 0.001 up to {_LARGEST_STRIKE}: {self.strike}")

    @property
    def is_standard(self) -> bool:
        """Whether the root is a plain one: then one contract delivers 100 shares.

        A digit behind the root marks a contract adjusted for a corporate action, a digit before it a FLEX option: what
        these deliver does not follow from the symbol.
        """
        return not (self.root[0].isdigit() or self.root[-1].isdigit())

    @property
    def underlying_root(self) -> str:
        """The root as its underlying's symbol is written there: `BRKB` for `BRK.B`, `BABA` for `BABA2` and `1BABA`."""
        return as_root(self.root).strip("0123456789")

    @property
    def osi(self) -> str:
        """The canonical 21-character symbol."""
        return f"{self.root:<6}{self._tail}"

    @property
    def compact(self) -> str:
        """The symbol without spaces: the form used in answers."""
        return f"{self.root}{self._tail}"

    @property
    def _tail(self) -> str:
        return f"{self.expiration:%y%m%d}{self.right[0]}{int(self.strike * 1000):08d}"


def as_root(symbol: str) -> str:
    """A symbol as the roots of its options write it: `BRK.B` and `BRK/B` are BRKB."""
    upper = symbol.upper()
    return upper if upper.isalnum() else "".join(filter(str.isalnum, upper))


def is_divided(symbol: str) -> bool:
    """Whether a symbol is one name, whole or in parts: `BRKB`, `BRK.B`, `BRK/B`, but not `AAPL/`."""
    return _DIVIDED.fullmatch(symbol) is not None


def underlying_root_of(symbol: str) -> str:
    """The underlying's root as far as an option's symbol shows one, also where the rest of it cannot be read."""
    contract = parse_option_symbol(symbol)
    if contract is not None:
        return contract.underlying_root
    match = _ROOT_ALONE.match(symbol.upper())
    return as_root(match[1]) if match else ""


def as_asked(text: str) -> str:
    """A name as it is looked up: without space and quotes around it; an option that is spelled out by its symbol."""
    name = text.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].strip()
    match = _SPELLED_OUT.fullmatch(name.upper()) if name.isascii() else None
    if match is None:
        return name
    root, day, before, strike, price, behind = match.groups()
    thousandths = int(Decimal(strike or price) * 1000)
    return f"{root}{day[2:].replace('-', '')}{(before or behind)[0]}{thousandths:08d}"


def with_its_id(name: str) -> tuple[str, str] | None:
    """The name and the UUID of what an answer shows as `AAPL [UUID]`; None for every other name."""
    match = _WITH_ID.fullmatch(as_asked(name))
    return (match[1], match[2]) if match else None


def parse_option_symbol(text: str) -> OptionContract | None:
    """The contract an OSI symbol names, in any spacing and case; None where `text` is not an OSI symbol."""
    if len(text) < SHORTEST_OSI:
        return None
    contract = _remembered.get(text, ...)
    if contract is ...:
        contract = _parse(text)
        # The same symbols come with every reading of a book. Longer texts are no symbols worth remembering.
        if len(text) <= _LONGEST_REMEMBERED:
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()  # those of a large book, strewn among its rows, would keep all of their memory
            _remembered[text] = contract
    return contract


def _parse(text: str) -> OptionContract | None:
    match = _OSI.fullmatch(text.upper()) if text.isascii() else None
    if match is None:
        return None
    root, day, right, strike = match.groups()
    try:
        expiration = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        return None
    side = OptionRight.CALL if right == "C" else OptionRight.PUT
    return OptionContract(root, expiration, side, Decimal(int(strike)) / 1000)
