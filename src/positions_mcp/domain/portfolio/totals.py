"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TypeVar

from positions_mcp.domain.money import EXACT, ZERO, exact_sum
from positions_mcp.domain.positions import Position

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Sum:
    """The exact sum of the values that were known, and how many were and were not."""

    amount: Decimal
    known: int
    missing: int

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
        return totals_by(positions, lambda _: None).get(None) or _Tally().totals()

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


def totals_by(positions: Iterable[Position], key: Callable[[Position], KeyT]) -> dict[KeyT, Totals]:
    """The totals of the positions that share a key, in one pass: a book may have a hundred thousand."""
    tallies: dict[KeyT, _Tally] = {}
    with localcontext(EXACT):
        for position in positions:
            name = key(position)
            tally = tallies.get(name)
            if tally is None:
                tally = tallies[name] = _Tally()
            tally.add(position)
    return {name: tally.totals() for name, tally in tallies.items()}


class _Tally:
    """Totals while they grow. `add` runs within the exact context."""

    __slots__ = (
        "day",
        "day_missing",
        "gross",
        "incomplete",
        "lock_unknown",
        "locked",
        "long",
        "longs",
        "longs_missing",
        "net",
        "positions",
        "short",
        "shorts",
        "shorts_missing",
        "unrealized",
        "unrealized_missing",
        "value_missing",
    )

    def __init__(self) -> None:
        self.positions = self.incomplete = self.locked = self.lock_unknown = 0
        self.net = self.gross = self.long = self.short = self.day = self.unrealized = ZERO
        self.value_missing = self.day_missing = self.unrealized_missing = 0
        self.longs = self.longs_missing = self.shorts = self.shorts_missing = 0

    def add(self, position: Position) -> None:
        """Count one more position."""
        self.positions += 1
        value, day, unrealized = position.market_value, position.daily_unrealized_pnl, position.unrealized_pnl
        if value is None or day is None or unrealized is None:
            self.incomplete += 1
        if day is None:
            self.day_missing += 1
        else:
            self.day += day
        if unrealized is None:
            self.unrealized_missing += 1
        else:
            self.unrealized += unrealized
        self._add_value(position.quantity, value)
        available = position.available_quantity
        if available is None:
            self.lock_unknown += 1
        elif available != position.quantity and position.locked_quantity:
            self.locked += 1

    def _add_value(self, quantity: Decimal, value: Decimal | None) -> None:
        if value is None:
            self.value_missing += 1
            self.longs_missing += quantity > 0
            self.shorts_missing += quantity < 0
            return
        self.net += value
        self.gross += value.copy_abs()
        if quantity > 0:
            self.long += value
            self.longs += 1
        elif quantity < 0:
            self.short += value
            self.shorts += 1

    def totals(self) -> Totals:
        """What has been counted."""
        valued = self.positions - self.value_missing
        return Totals(
            positions=self.positions,
            net=Sum(self.net, valued, self.value_missing),
            gross=Sum(self.gross, valued, self.value_missing),
            long=Sum(self.long, self.longs, self.longs_missing),
            short=Sum(self.short, self.shorts, self.shorts_missing),
            day_pnl=Sum(self.day, self.positions - self.day_missing, self.day_missing),
            unrealized_pnl=Sum(self.unrealized, self.positions - self.unrealized_missing, self.unrealized_missing),
            incomplete=self.incomplete,
            locked=self.locked,
            lock_unknown=self.lock_unknown,
        )
