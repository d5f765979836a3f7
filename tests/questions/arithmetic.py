"""What an answer has to say, worked out without the product: from the rows that the exchange itself sends.

Facts name parts of the book by words: `XOM`, `KO PLTR`, `NVDA+` (with its options), `all`, `long`, `short`, `stocks`,
`options`, `by 2026-11-27` (options that expire by then), `day 1` (the most gained today; `day -1`: the most lost), and
likewise `pnl 1`, `pct 1`, `value 1` of rows, and `pnl+ 1`, `day+ 1`, `value+ 1` of underlyings with their options.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

_OSI = re.compile(r"([A-Z]{1,6})(\d{6})([CP])(\d{8})")
_ZERO = Decimal(0)
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Row:
    """A position, by its quantity, what was paid and what it trades at."""

    symbol: str
    quantity: Decimal
    average: Decimal
    price: Decimal
    close: Decimal

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Row:
        """From a row of the exchange; without a price it is worth nothing and has made nothing."""
        price = Decimal(row.get("instrument_price") or 0)
        close = Decimal(row.get("closing_price") or 0)
        symbol = row["symbol"].replace(" ", "")
        return cls(symbol, Decimal(row["quantity"]), Decimal(row.get("avg_price") or 0), price, close)

    @property
    def root(self) -> str:
        """The underlying's symbol; a share's is its own."""
        option = _OSI.fullmatch(self.symbol)
        return option[1] if option else self.symbol

    @property
    def is_option(self) -> bool:
        return _OSI.fullmatch(self.symbol) is not None

    @property
    def kinds(self) -> set[str]:
        """The words for parts of a book that it belongs to."""
        side = "short" if self.quantity < 0 else "long"
        return {"all", side, "options" if self.is_option else "stocks", *(["losing"] if self.pnl < 0 else [])}

    @property
    def expiry(self) -> str:
        """The day as YYYY-MM-DD, of an option."""
        day = self.symbol[len(self.root) :][:6]
        return f"20{day[:2]}-{day[2:4]}-{day[4:]}"

    @property
    def units(self) -> Decimal:
        """Shares that it is about."""
        return self.quantity * (100 if self.is_option else 1)

    @property
    def value(self) -> Decimal:
        return self.units * self.price

    @property
    def cost(self) -> Decimal:
        return self.units * self.average

    @property
    def pnl(self) -> Decimal:
        return self.value - self.cost if self.price else _ZERO

    @property
    def day(self) -> Decimal:
        """What it has made since the last close."""
        return self.units * (self.price - self.close)

    @property
    def pct(self) -> Decimal:
        return _HUNDRED * self.pnl / abs(self.cost)

    @property
    def day_pct(self) -> Decimal:
        """What its price has moved since the last close, in percent."""
        return _HUNDRED * (self.price - self.close) / self.close

    @property
    def strike(self) -> Decimal:
        return Decimal(self.symbol[-8:]) / 1000

    @property
    def at_strikes(self) -> int:
        """What assignment or exercise of all of it moves, in dollars."""
        return int(abs(self.units) * self.strike)

    @property
    def break_even(self) -> Decimal:
        """Where the underlying has to be at expiration for an option to return what was paid."""
        return self.strike + (self.average if self.symbol[-9] == "C" else -self.average)


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a book, and the whole beside them."""

    rows: Sequence[Row]
    book: Sequence[Row]

    def __getattr__(self, name: str) -> Any:
        """A figure of a single row is that of the part."""
        if len(self.rows) == 1:
            return getattr(self.rows[0], name)
        return sum((getattr(row, name) for row in self.rows), _ZERO)

    @property
    def symbol(self) -> str:
        """The symbol, or that of the underlying."""
        return self.rows[0].symbol if len(self.rows) == 1 else self.rows[0].root

    @property
    def root(self) -> str:
        """The symbol of the underlying."""
        return self.rows[0].root

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def gross(self) -> Decimal:
        return sum((abs(row.value) for row in self.rows), _ZERO)

    @property
    def pct(self) -> Decimal:
        """Percent of what was paid, a short's proceeds counting as such."""
        return _HUNDRED * sum((row.pnl for row in self.rows), _ZERO) / sum((abs(row.cost) for row in self.rows), _ZERO)

    @property
    def share(self) -> Decimal:
        """Percent of the whole, by gross value."""
        return _HUNDRED * self.gross / sum((abs(row.value) for row in self.book), _ZERO)


class Figures(Mapping[str, Part]):
    """The parts of a book by their words."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __getitem__(self, words: str) -> Part:
        return Part(self._chosen(words), self._rows)

    def __iter__(self) -> Any:
        return iter([row.symbol for row in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def _chosen(self, words: str) -> Sequence[Row]:
        if ranked := re.fullmatch(r"(day_pct|day|pnl|pct|value|gross|cost)(\+?) (-?\d+)", words):
            return self._ranked(ranked[1], bool(ranked[2]), int(ranked[3]))
        if words.startswith("by "):
            return [row for row in self._rows if row.is_option and row.expiry <= words[3:]]
        names = words.split()
        found = [row for row in self._rows if words in row.kinds or row.symbol in names or f"{row.root}+" in names]
        if not found:
            raise LookupError(f"the book has nothing of {words!r}")
        return found

    def _ranked(self, figure: str, with_options: bool, place: int) -> Sequence[Row]:
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows:
            groups[row.root if with_options else row.symbol].append(row)
        parts = sorted((Part(rows, self._rows) for rows in groups.values()), key=attrgetter(figure), reverse=True)
        return parts[place - 1 if place > 0 else place].rows
