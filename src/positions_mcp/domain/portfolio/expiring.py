"""Options about to expire, and whether they are in the money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from positions_mcp.domain.account.positions import Holding, HoldingT
from positions_mcp.domain.account.quotes import (
    Moneyness,
    UnderlyingPrice,
    moneyness,
    points_in_the_money,
    underlying_price,
)
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionContract, as_root
from positions_mcp.domain.money import ZERO


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

    position: Holding
    contract: OptionContract
    underlying: Holding | None
    price: UnderlyingPrice | None
    moneyness: Moneyness

    @property
    def distance(self) -> Decimal | None:
        """Dollars per share between the underlying's price and the strike."""
        return points_in_the_money(self.contract, self.price.price).copy_abs() if self.price else None


def expiring_by(last: date, positions: Iterable[HoldingT]) -> list[HoldingT]:
    """The options that expire on the day `last` or before."""
    day = f"{last:%y%m%d}"
    return [
        position
        for position in positions
        if not _plainly_expires_after(day, position.symbol)
        and (contract := position.contract) is not None
        and contract.expiration <= last
    ]


def _plainly_expires_after(last: str, symbol: str) -> bool:
    """Whether an OSI symbol in its usual form says so: enough to leave nearly all of a large book unread."""
    day = symbol[-15:-9]
    return day > last and symbol[-9] in "CP" and day.isdigit()


def expiring(options: Iterable[Holding], others: Iterable[Holding], read_at: datetime) -> list[ExpiringOption]:
    """What `expiring_by` found, against its underlyings: soonest first, largest value first in a day.

    `others` are what the account holds besides options, and where the underlyings are looked for.
    """
    held = _Held(others)
    priced: dict[str, tuple[Holding | None, UnderlyingPrice | None]] = {}
    found = []
    for position in options:
        if (contract := position.contract) is None:
            continue
        key = position.underlying_instrument_id or contract.root
        if key not in priced:
            underlying = held.underlying_of(position)
            priced[key] = underlying, underlying_price(underlying, read_at)
        underlying, price = priced[key]
        told = moneyness(contract, price.price if price else None)
        found.append(ExpiringOption(position, contract, underlying, price, told))
    return sorted(found, key=lambda each: (each.contract.expiration, -(each.position.market_value or ZERO).copy_abs()))


class _Held:
    """`moneyness.find_underlying` for many options of one book: what it looks through is indexed once."""

    def __init__(self, others: Iterable[Holding]) -> None:
        self._by_id: dict[InstrumentId, Holding] = {}
        self._by_root: dict[str, Holding | None] = {}
        for position in others:
            root = as_root(position.symbol)
            self._by_id[position.instrument_id] = position
            self._by_root[root] = None if root in self._by_root else position

    def underlying_of(self, option: Holding) -> Holding | None:
        """The position in the option's underlying; None where none is held or its symbol is held twice."""
        if option.underlying_instrument_id is not None:
            return self._by_id.get(option.underlying_instrument_id)
        if option.contract is None or not option.contract.is_standard:
            return None
        return self._by_root.get(option.contract.underlying_root)
