"""Options about to expire, and whether they are in the money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from positions_mcp.domain.instruments import OptionContract
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.moneyness import (
    Moneyness,
    UnderlyingPrice,
    as_root,
    moneyness,
    points_in_the_money,
    underlying_price,
)
from positions_mcp.domain.portfolio.underlyings import expiry_and_right
from positions_mcp.domain.positions import Book, Position


@dataclass(frozen=True, slots=True)
class Week:
    """The days from today to the end of the trading week; on a weekend, all of the coming week."""

    first: date
    last: date

    @classmethod
    def of(cls, today: date) -> Week:
        """The rest of the trading week that `today` belongs to."""
        days_to_friday = (4 - today.weekday()) % 7
        return cls(today, today + timedelta(days=days_to_friday))


@dataclass(frozen=True, slots=True)
class ExpiringOption:
    """An option that expires soon; price and distance are None where the book does not hold its underlying."""

    position: Position
    contract: OptionContract
    price: UnderlyingPrice | None
    moneyness: Moneyness

    @property
    def distance(self) -> Decimal | None:
        """Dollars per share between the underlying's price and the strike."""
        return points_in_the_money(self.contract, self.price.price).copy_abs() if self.price else None


def expiring(positions: Iterable[Position], week: Week, book: Book) -> list[ExpiringOption]:
    """Options that expire within `week` or whose expiration has passed: soonest first, largest value first in a day.

    `book` is where the underlyings are looked for; `positions` may be a part of it.
    """
    held = _Held(book)
    prices: dict[str, UnderlyingPrice | None] = {}
    found = []
    last = f"{week.last:%y%m%d}"
    for position in positions:
        # What the symbol plainly says is enough to leave out nearly all of a large book unread.
        if expiry_and_right(position)[:6] > last or (contract := position.contract) is None:
            continue
        if contract.expiration <= week.last:
            underlying = position.underlying_instrument_id or contract.root
            if underlying not in prices:
                prices[underlying] = underlying_price(held.underlying_of(position), book.as_of)
            price = prices[underlying]
            found.append(ExpiringOption(position, contract, price, moneyness(contract, price.price if price else None)))
    return sorted(found, key=lambda each: (each.contract.expiration, -_size(each.position)))


class _Held:
    """`moneyness.find_underlying` for many options of one book: what it looks through is indexed once."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._by_root: dict[str, Position | None] | None = None

    def underlying_of(self, option: Position) -> Position | None:
        """The position in the option's underlying; None where none is held or its symbol is held twice."""
        if option.underlying_instrument_id is not None:
            return self._book.by_id.get(option.underlying_instrument_id)
        if option.contract is None or option.contract.is_adjusted:
            return None
        if self._by_root is None:
            self._by_root = {}
            for position in self._book.positions:
                if not position.is_option:
                    root = as_root(position.symbol)
                    self._by_root[root] = None if root in self._by_root else position
        return self._by_root.get(option.contract.root)


def _size(position: Position) -> Decimal:
    return position.market_value.copy_abs() if position.market_value is not None else ZERO
