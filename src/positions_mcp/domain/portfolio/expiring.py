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
    find_underlying,
    moneyness,
    points_in_the_money,
    underlying_price,
)
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
    found = []
    for position in positions:
        contract = position.contract
        if contract is not None and contract.expiration <= week.last:
            price = underlying_price(find_underlying(position, book), book.as_of)
            found.append(ExpiringOption(position, contract, price, moneyness(contract, price.price if price else None)))
    return sorted(found, key=lambda each: (each.contract.expiration, -_size(each.position), each.contract))


def _size(position: Position) -> Decimal:
    return position.market_value.copy_abs() if position.market_value is not None else ZERO
