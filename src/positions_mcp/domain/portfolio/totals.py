"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.positions import Position


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of the known values and how many were missing; None where not one of several was known."""

    total: Decimal | None
    missing: int = 0

    @classmethod
    def of(cls, values: Iterable[Decimal | None]) -> Sum:
        """The exact sum; zero for no values at all."""
        known: list[Decimal] = []
        missing = 0
        for value in values:
            if value is None:
                missing += 1
            else:
                known.append(value)
        return cls(None if missing and not known else exact_sum(known), missing)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a set of positions comes to, in dollars. Long and short follow the sign of the quantity."""

    positions: int
    net: Sum
    gross: Sum
    """The sum of absolute market values."""
    long: Sum
    short: Sum
    day_pnl: Sum
    """Unrealised profit or loss relative to the previous close."""
    unrealized_pnl: Sum
    locked: int
    """Positions of which open orders hold some quantity."""
    lock_unknown: int
    """Positions whose available quantity the API does not say."""

    @classmethod
    def of(cls, positions: Iterable[Position]) -> Totals:
        """The totals of `positions`."""
        held = list(positions)
        values = [position.market_value for position in held]
        long = [value for value, position in zip(values, held, strict=True) if position.quantity > 0]
        short = [value for value, position in zip(values, held, strict=True) if position.quantity < 0]
        locks = [position.locked_quantity for position in held]
        return cls(
            positions=len(held),
            net=Sum.of(values),
            gross=Sum.of(None if value is None else value.copy_abs() for value in values),
            long=Sum.of(long),
            short=Sum.of(short),
            day_pnl=Sum.of(position.daily_unrealized_pnl for position in held),
            unrealized_pnl=Sum.of(position.unrealized_pnl for position in held),
            locked=sum(1 for lock in locks if lock),
            lock_unknown=locks.count(None),
        )
