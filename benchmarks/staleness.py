"""A minute on the market between a plan and its sending: does an option's plan go stale by noise, or by a real move?

Pure and seeded; the tests run it too, for less long. The underlying walks by its intraday volatility, the option is
worth what Black and Scholes say of it (without interest), and both are quoted in ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from math import erf, exp, log, sqrt
from pathlib import Path
from random import Random

from benchmarks.report import Finding

from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.plan import CloseTarget
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.guard.closing.compare import CurrentValue, why_moved

YEAR_MINUTES = 252 * 390
LIMIT = 0.05
"""The share of minutes of noise that may make a plan stale."""
_RUNS, _SEED = 2_000, 20261120
_ID = InstrumentId("a1a2a3a4-b1b2-c1c2-d1d2-000000000007")


@dataclass(frozen=True, slots=True)
class Market:
    """One option on one underlying, `minutes` before its last trade; the strike is so far from the price."""

    spot: float
    volatility: float
    """A year's, as a fraction; what is realized within the hour."""
    right: str = "C"
    quantity: int = -10
    minutes: float = 60
    away: float = 0.0
    """How far out of the money, as a fraction."""
    tick: Decimal = Decimal("0.01")
    is_underlying_known: bool = True

    @property
    def strike(self) -> Decimal:
        """To the dollar, or to a tenth where a dollar is much."""
        sign = 1 if self.right == "C" else -1
        step = Decimal(1) if self.spot >= 25 else Decimal("0.1")
        return (Decimal(self.spot * (1 + sign * self.away)) / step).quantize(Decimal(1)) * step

    def premium(self, spot: float, minutes: float) -> Decimal:
        """What the option costs per share, in ticks."""
        strike, deviation = float(self.strike), self.volatility * sqrt(max(minutes, 1e-9) / YEAR_MINUTES)
        d1 = log(spot / strike) / deviation + deviation / 2
        call = spot * _normal(d1) - strike * _normal(d1 - deviation)
        value = Decimal(call if self.right == "C" else call - spot + strike)
        return max((value / self.tick).quantize(Decimal(1), ROUND_HALF_EVEN) * self.tick, Decimal(0))

    def is_stale(self, moved: float, after_minutes: float = 1.0) -> bool:
        """Whether a plan made now is stale once the underlying has moved by so much (a logarithm)."""
        later = self.spot * exp(moved)
        size = self.quantity * 100
        before, after = self.premium(self.spot, self.minutes), self.premium(later, self.minutes - after_minutes)
        prices = [Decimal(price).quantize(Decimal("0.01")) for price in (self.spot, later)]
        known = prices if self.is_underlying_known else [None, None]
        planned = CloseTarget(
            symbol=f"XYZ261120{self.right}{int(self.strike * 1000):08d}",
            instrument_id=_ID,
            measure=Decimal(0),
            quantity=Decimal(self.quantity),
            available=None,
            value=before * size,
            side=OrderSide.BUY if self.quantity < 0 else OrderSide.SELL,
            order_quantity=Decimal(abs(self.quantity)),
            underlying_price=known[0],
        )
        policy = Policy()
        now = CurrentValue(Decimal(self.quantity), after * size, known[1])
        return bool(why_moved(planned, now, policy.tolerance, policy.option_tolerance))

    def adverse_move(self, size: float) -> float:
        """A move that makes the option dearer: by dollars alone, no more than its premium can be seen of the other."""
        return size if self.right == "C" else -size

    def stale_share(self, runs: int, seed: int) -> float:
        """The share of `runs` minutes of noise after which a plan is stale."""
        random, deviation = Random(seed), self.volatility * sqrt(1 / YEAR_MINUTES)
        return sum(self.is_stale(random.gauss(0, deviation)) for _ in range(runs)) / runs


def findings(folder: Path) -> Iterator[Finding]:
    """The worst of all markets by noise, and how many real moves of 3 % go unseen."""
    del folder
    each = tuple(markets())
    noise = max(market.stale_share(_RUNS, _SEED) for market in each)
    yield Finding("stale by a minute of noise, the worst option at the money", 100 * noise, "%", 100 * LIMIT)
    unseen = sum(not market.is_stale(market.adverse_move(0.03)) for market in each)
    yield Finding("moves of 3 % that are not stale", 100 * unseen / len(each), "%", 0)


def markets() -> Iterator[Market]:
    """At the money an hour before the close: prices and volatilities of funds, large shares, and those in the news."""
    for spot, tick in ((12.0, "0.01"), (45.0, "0.05"), (231.4, "0.01"), (600.0, "0.01"), (6000.0, "0.05")):
        for volatility in (0.12, 0.30, 0.60, 1.00):
            for right in ("C", "P"):
                for known in (True, False):
                    market = Market(spot, volatility, right, tick=Decimal(tick), is_underlying_known=known)
                    yield market
                    yield replace(market, quantity=10)


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2
