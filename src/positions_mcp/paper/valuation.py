"""What positions are worth at an instant: price, value, cost and profit, exactly, in decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.holdings import ZERO, Holding, Instrument
from positions_mcp.paper.market import cents

_PERCENT = Decimal("0.0001")
_AVERAGE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class ValuedPosition:
    """A position with its value. None where no price is known; `market_value`, which the API requires, is then 0.

    `closing_price` is that of the last session that has closed; `daily` is profit since the close before the day's.
    """

    holding: Holding
    instrument: Instrument
    available: Decimal
    average_price: Decimal
    price: Decimal | None
    closing_price: Decimal | None
    closing_date: date
    market_value: Decimal
    unrealized: Decimal | None
    unrealized_pct: Decimal | None
    daily: Decimal | None
    daily_pct: Decimal | None
    daily_realized: Decimal


class Valuation:
    """All positions of one ledger at one instant; each is valued when first asked for and kept."""

    def __init__(self, moment: Moment) -> None:
        self._ledger = moment.ledger
        self._market = moment.market
        self._priced_at = moment.market.trading_moment(moment.now)
        self._today = moment.trading_day
        self._before = moment.market.previous_close(moment.now)
        self._close = moment.market.last_close(moment.now)
        self._known: dict[tuple[int, str], ValuedPosition] = {}

    def of(self, holdings: Iterable[Holding]) -> list[ValuedPosition]:
        return [self._known.get((holding.account, holding.symbol)) or self._value(holding) for holding in holdings]

    def _value(self, holding: Holding) -> ValuedPosition:
        instrument = self._ledger.instruments[holding.symbol]
        underlying = self._ledger.underlying(instrument)
        price = self._market.price(instrument, underlying, self._priced_at)
        before = self._market.price(instrument, underlying, self._before.closes)
        units = holding.quantity * instrument.multiplier
        value = cents(units * (price or ZERO))
        unrealized = None if price is None else cents(units * price - holding.cost)
        daily = daily_pct = None
        if price is not None and before is not None:
            daily = cents(units * (price - before))
            daily_pct = _share(daily, units * before)
        valued = ValuedPosition(
            holding=holding,
            instrument=instrument,
            available=self._ledger.free_of(holding),
            average_price=trimmed(holding.cost / units),
            price=price,
            closing_price=before if self._close == self._before else price,
            closing_date=self._close.day,
            market_value=value,
            unrealized=unrealized,
            unrealized_pct=None if unrealized is None else _share(unrealized, holding.cost),
            daily=daily,
            daily_pct=daily_pct,
            daily_realized=holding.realized_today if holding.realized_day == self._today else ZERO,
        )
        self._known[(holding.account, holding.symbol)] = valued
        return valued


def _share(amount: Decimal, whole: Decimal) -> Decimal | None:
    return (amount * 100 / abs(whole)).quantize(_PERCENT) if whole else None


def trimmed(average: Decimal) -> Decimal:
    """At most six decimals and at least two."""
    exact = average.quantize(_AVERAGE)
    return cents(exact) if cents(exact) == exact else exact.normalize()
