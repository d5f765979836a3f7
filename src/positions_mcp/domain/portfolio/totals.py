"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.positions import Position


@dataclass(frozen=True, slots=True)
class Sum:
    """The exact sum of the values that were known, and how many were and were not."""

    amount: Decimal
    known: int
    missing: int

    @classmethod
    def of(cls, values: Iterable[Decimal | None]) -> Sum:
        """The sum of `values`, of which some may be missing."""
        known: list[Decimal] = []
        missing = 0
        for value in values:
            if value is None:
                missing += 1
            else:
                known.append(value)
        return cls(exact_sum(known), len(known), missing)

    @classmethod
    def merged(cls, sums: Iterable[Sum]) -> Sum:
        """The sum of everything that `sums` are of."""
        parts = list(sums)
        return cls(
            exact_sum(part.amount for part in parts),
            sum(part.known for part in parts),
            sum(part.missing for part in parts),
        )

    @property
    def total(self) -> Decimal | None:
        """The amount; zero for no values at all, but None where there were values and none was known."""
        return None if self.missing and not self.known else self.amount


@dataclass(frozen=True, slots=True)
class Totals:
    """What a set of positions comes to, in dollars. Long and short follow the sign of the quantity."""

    positions: int
    net: Sum
    gross: Sum
    """Of absolute market values."""
    long: Sum
    short: Sum
    day_pnl: Sum
    """Unrealised profit or loss relative to the previous close."""
    unrealized_pnl: Sum
    incomplete: int
    """Positions that lack a market value or either profit or loss."""
    locked: int
    """Positions of which open orders hold some quantity."""
    lock_unknown: int
    """Positions whose available quantity the API does not say."""

    @classmethod
    def of(cls, positions: Iterable[Position]) -> Totals:
        """The totals of `positions`."""
        held = list(positions)
        values = [position.market_value for position in held]
        day = [position.daily_unrealized_pnl for position in held]
        unrealized = [position.unrealized_pnl for position in held]
        locks = [position.locked_quantity for position in held]
        return cls(
            positions=len(held),
            net=Sum.of(values),
            gross=Sum.of(None if value is None else value.copy_abs() for value in values),
            long=Sum.of(value for value, position in zip(values, held, strict=True) if position.quantity > 0),
            short=Sum.of(value for value, position in zip(values, held, strict=True) if position.quantity < 0),
            day_pnl=Sum.of(day),
            unrealized_pnl=Sum.of(unrealized),
            incomplete=sum(1 for three in zip(values, day, unrealized, strict=True) if None in three),
            locked=sum(1 for lock in locks if lock),
            lock_unknown=locks.count(None),
        )

    @classmethod
    def merged(cls, totals: Iterable[Totals]) -> Totals:
        """The totals of everything that `totals` are of."""
        parts = list(totals)
        return cls(
            positions=sum(part.positions for part in parts),
            net=Sum.merged(part.net for part in parts),
            gross=Sum.merged(part.gross for part in parts),
            long=Sum.merged(part.long for part in parts),
            short=Sum.merged(part.short for part in parts),
            day_pnl=Sum.merged(part.day_pnl for part in parts),
            unrealized_pnl=Sum.merged(part.unrealized_pnl for part in parts),
            incomplete=sum(part.incomplete for part in parts),
            locked=sum(part.locked for part in parts),
            lock_unknown=sum(part.lock_unknown for part in parts),
        )
