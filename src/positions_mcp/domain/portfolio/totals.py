"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from operator import attrgetter, lt
from typing import Generic, TypeVar, cast

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import PositionType
from positions_mcp.domain.letting_go import leave
from positions_mcp.domain.money import EXACT, ZERO, exact_sum, percent

KeyT = TypeVar("KeyT")

_AT_A_TIME = 1_000
"""Positions that are counted together: nothing else in the process runs meanwhile."""


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
    """What a set of positions comes to, in dollars.

    Long and short follow the sign of the quantity; what contradicts itself counts as short.
    """

    positions: int
    net: Sum
    gross: Sum
    """Of absolute market values."""
    long: Sum
    short: Sum
    day_pnl: Sum
    """Of the day: unrealised relative to the previous close, and realised where the API gives it."""
    day_unrealized: Sum
    day_realized: Sum
    unrealized_pnl: Sum
    cost_basis: Sum
    paid: Decimal
    """Absolute cost of the positions whose unrealised profit or loss is known as well."""
    returned: Decimal
    """Unrealised profit or loss of those."""
    incomplete: int
    """Positions that lack a market value or either profit or loss."""
    locked: int
    """Positions of which open orders or exercise instructions hold some quantity."""
    lock_unknown: int
    """Positions whose available quantity the API does not say."""
    contradicting: int
    """Positions whose quantity has another sign than their type says."""

    @property
    def unrealized_pnl_pct(self) -> Decimal | None:
        """Unrealised profit or loss as percent of absolute cost, of the positions that say both."""
        return percent(self.returned, self.paid)

    @property
    def gross_cost(self) -> Decimal | None:
        """What that percent is of, where it is not simply the cost basis: shorts have a negative one."""
        return self.paid if self.paid and self.paid != self.cost_basis.amount.copy_abs() else None

    @classmethod
    def of(cls, positions: Iterable[Holding]) -> Totals:
        """The totals of `positions`."""
        tally, held = _Tally(), list(positions)
        with localcontext(EXACT):
            for at in range(0, len(held), _AT_A_TIME):
                tally.add(held[at : at + _AT_A_TIME])
        return tally.totals()

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
            day_unrealized=Sum.merged(part.day_unrealized for part in parts),
            day_realized=Sum.merged(part.day_realized for part in parts),
            unrealized_pnl=Sum.merged(part.unrealized_pnl for part in parts),
            cost_basis=Sum.merged(part.cost_basis for part in parts),
            paid=exact_sum(part.paid for part in parts),
            returned=exact_sum(part.returned for part in parts),
            incomplete=sum(part.incomplete for part in parts),
            locked=sum(part.locked for part in parts),
            lock_unknown=sum(part.lock_unknown for part in parts),
            contradicting=sum(part.contradicting for part in parts),
        )


class Tallies(Generic[KeyT]):
    """Totals of the positions that share a key, growing while positions come in."""

    def __init__(self) -> None:
        self._tallies: defaultdict[KeyT, _Tally] = defaultdict(_Tally)

    def __del__(self) -> None:
        leave(list(self._tallies.values()))

    def add(self, parts: Mapping[KeyT, Sequence[Holding]]) -> None:
        """Count some more positions, by key."""
        with localcontext(EXACT):
            for key, part in parts.items():
                self._tallies[key].add(part)

    def totals(self) -> dict[KeyT, Totals]:
        """What has been counted so far, by key."""
        return {key: tally.totals() for key, tally in self._tallies.items()}


class _Growing:
    """A sum while it grows. `add` runs within the exact context."""

    __slots__ = ("amount", "known", "missing")

    def __init__(self) -> None:
        self.amount, self.known, self.missing = ZERO, 0, 0

    def add(self, column: Sequence[Decimal | None]) -> Sequence[Decimal]:
        """Add the known ones, and return them."""
        try:
            known = cast("Sequence[Decimal]", column)
            self.amount = sum(known, self.amount)
        except TypeError:  # some are missing
            known = [value for value in column if value is not None]
            self.amount = sum(known, self.amount)
        self.known += len(known)
        self.missing += len(column) - len(known)
        return known

    def sum(self) -> Sum:
        return Sum(self.amount, self.known, self.missing)


class _Tally:
    """Totals while they grow, column by column: a book may have a hundred thousand positions.

    `add` runs within the exact context.
    """

    __slots__ = (
        "contradicting",
        "cost",
        "day",
        "gross",
        "incomplete",
        "lock_unknown",
        "locked",
        "long",
        "net",
        "opened",
        "paid",
        "positions",
        "realized",
        "returned",
        "short",
        "unrealized",
    )

    def __init__(self) -> None:
        self.positions = self.incomplete = self.locked = self.lock_unknown = self.contradicting = 0
        self.net, self.long, self.short = _Growing(), _Growing(), _Growing()
        self.day, self.opened, self.realized = _Growing(), _Growing(), _Growing()
        self.unrealized, self.cost = _Growing(), _Growing()
        self.gross = self.paid = self.returned = ZERO

    def add(self, positions: Sequence[Holding]) -> None:
        """Count some more positions."""
        self.positions += len(positions)
        quantities, available, values, days, realized, unrealized, costs, types = zip(
            *map(_columns, positions), strict=True
        )
        if not all(values):
            values = tuple(position.value for position in positions)
        self.opened.add(days)
        if any(realized):
            days = tuple(position.day_pnl for position in positions)
        self.gross = sum(map(Decimal.copy_abs, self.net.add(values)), self.gross)
        self.day.add(days)
        self.realized.add(realized)
        self._add_returns(unrealized, costs)
        if self.net.missing or self.day.missing or self.unrealized.missing:
            self.incomplete += sum(None in row for row in zip(values, days, unrealized, strict=True))
        longs, shorts = _sides(frozenset(types))
        signed = [(q, v, t) for q, v, t in zip(quantities, values, types, strict=True) if q]
        self.long.add([value for q, value, kind in signed if not q.is_signed() and kind not in shorts])
        self.short.add([value for q, value, kind in signed if q.is_signed() or kind in shorts])
        self.contradicting += sum(kind in (longs if q.is_signed() else shorts) for q, _, kind in signed)
        try:
            self.locked += _less_than_held(available, quantities)
        except TypeError:  # of some it is not said
            known = [pair for pair in zip(available, quantities, strict=True) if pair[0] is not None]
            self.locked += _less_than_held(*zip(*known, strict=True)) if known else 0
            self.lock_unknown += len(available) - len(known)

    def _add_returns(self, unrealized: Sequence[Decimal | None], costs: Sequence[Decimal | None]) -> None:
        known, cost = self.unrealized.add(unrealized), self.cost.add(costs)
        if len(known) == len(cost) == len(costs):
            returned, paid = known, cost
        else:
            both = [(r, c) for r, c in zip(unrealized, costs, strict=True) if r is not None and c is not None]
            returned, paid = [r for r, _ in both], [c for _, c in both]
        self.returned = sum(returned, self.returned)
        self.paid = sum(map(Decimal.copy_abs, paid), self.paid)

    def totals(self) -> Totals:
        """What has been counted."""
        return Totals(
            positions=self.positions,
            net=self.net.sum(),
            gross=Sum(self.gross, self.net.known, self.net.missing),
            long=self.long.sum(),
            short=self.short.sum(),
            day_pnl=self.day.sum(),
            day_unrealized=self.opened.sum(),
            day_realized=self.realized.sum(),
            unrealized_pnl=self.unrealized.sum(),
            cost_basis=self.cost.sum(),
            paid=self.paid,
            returned=self.returned,
            incomplete=self.incomplete,
            locked=self.locked,
            lock_unknown=self.lock_unknown,
            contradicting=self.contradicting,
        )


_columns = attrgetter(
    "quantity",
    "available_quantity",
    "market_value",
    "daily_unrealized_pnl",
    "daily_realized_pnl",
    "unrealized_pnl",
    "cost_basis",
    "position_type",
)


@lru_cache(maxsize=64)
def _sides(types: frozenset[PositionType | None]) -> tuple[frozenset[PositionType], frozenset[PositionType]]:
    """Those of the types that say long, and those that say short."""
    said = [kind for kind in types if kind is not None]
    return frozenset(kind for kind in said if kind.is_long), frozenset(kind for kind in said if kind.is_short)


def _less_than_held(available: Iterable[Decimal], quantities: Iterable[Decimal]) -> int:
    """How often open orders hold some of the quantity."""
    return sum(map(lt, map(Decimal.copy_abs, available), map(Decimal.copy_abs, quantities)))
