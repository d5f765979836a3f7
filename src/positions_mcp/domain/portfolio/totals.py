"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache, partial
from itertools import chain, islice, repeat
from operator import attrgetter, is_
from typing import Any, Generic, NamedTuple, TypeVar

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import PositionType
from positions_mcp.domain.letting_go import leave
from positions_mcp.domain.money import EXACT, ZERO, percent

KeyT = TypeVar("KeyT")

_AT_A_TIME = 1_000
"""Positions that are counted together: nothing else in the process runs meanwhile."""


class Sum(NamedTuple):
    """The exact sum of the values that were known, and how many were and were not."""

    amount: Decimal = ZERO
    known: int = 0
    missing: int = 0

    @classmethod
    def merged(cls, sums: Iterable[Sum]) -> Sum:
        """The sum of everything that `sums` are of."""
        with localcontext(EXACT):
            return cls._make(map(sum, zip(cls(), *sums, strict=True)))

    @property
    def total(self) -> Decimal | None:
        """The amount; zero for no values at all, but None where there were values and none was known."""
        return None if self.missing and not self.known else self.amount


_NOTHING, _MISSING = Sum(), Sum(missing=1)


class Totals(NamedTuple):
    """What a set of positions comes to, in dollars.

    Long and short follow the sign of the quantity; what contradicts itself counts as short.
    """

    positions: int = 0
    net: Sum = _NOTHING
    gross: Sum = _NOTHING
    """Of absolute market values."""
    long: Sum = _NOTHING
    short: Sum = _NOTHING
    day_pnl: Sum = _NOTHING
    """Of the day: unrealised relative to the previous close, and realised where the API gives it."""
    day_unrealized: Sum = _NOTHING
    day_realized: Sum = _NOTHING
    unrealized_pnl: Sum = _NOTHING
    cost_basis: Sum = _NOTHING
    paid: Decimal = ZERO
    """Absolute cost of the positions whose unrealised profit or loss is known as well."""
    returned: Decimal = ZERO
    """Unrealised profit or loss of those."""
    incomplete: int = 0
    """Positions that lack a market value or either profit or loss."""
    locked: int = 0
    """Positions of which open orders or exercise instructions hold some quantity."""
    lock_unknown: int = 0
    """Positions whose available quantity the API does not say."""
    contradicting: int = 0
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
        held = list(positions)
        slices = (held[at : at + _AT_A_TIME] for at in range(0, len(held), _AT_A_TIME))
        return cls.merged(cls.merged(_of_each(part)) for part in slices)

    @classmethod
    def merged(cls, totals: Iterable[Totals]) -> Totals:
        """The totals of everything that `totals` are of."""
        parts = list(totals)
        while len(parts) > _AT_A_TIME:
            parts = [cls.merged(parts[at : at + _AT_A_TIME]) for at in range(0, len(parts), _AT_A_TIME)]
        with localcontext(EXACT):
            return cls._make(map(_together, zip(cls(), *parts, strict=True)))


def _together(column: Sequence[Any]) -> Any:
    return Sum._make(map(sum, zip(*column, strict=True))) if type(column[0]) is Sum else sum(column)


class Tallies(Generic[KeyT]):
    """Totals of the positions that share a key, growing while positions come in."""

    def __init__(self) -> None:
        self._totals: dict[KeyT, Totals] = {}

    def __del__(self) -> None:
        leave(list(self._totals.values()))

    def add(self, parts: Mapping[KeyT, Sequence[Holding]]) -> None:
        """Count some more positions, by key."""
        of_each = iter(_of_each(list(chain.from_iterable(parts.values()))))
        for key, part in parts.items():
            found = list(islice(of_each, len(part)))
            if key in self._totals:
                found.append(self._totals[key])
            self._totals[key] = found[0] if len(found) == 1 else Totals.merged(found)

    def totals(self) -> dict[KeyT, Totals]:
        """What has been counted so far, by key."""
        return self._totals.copy()


def _of_each(positions: Sequence[Holding]) -> list[Totals]:
    """Of each position alone, worked out column by column: a book may have a hundred thousand."""
    if not positions:
        return []
    quantities, available, values, opened, realized, unrealized, costs, types = zip(
        *map(_columns, positions), strict=True
    )
    days = opened
    if not all(values):
        values = tuple(position.value for position in positions)
    if any(realized) or _lacks_some(opened):
        days = tuple(position.day_pnl for position in positions)
    longs, shorts = _sides(frozenset(types))
    is_short = [q.is_signed() or kind in shorts for q, kind in zip(quantities, types, strict=True)]
    net = _of_alone(values)
    both = [None if r is None or c is None else (c.copy_abs(), r) for r, c in zip(unrealized, costs, strict=True)]
    paid, returned = zip(*(each or (ZERO, ZERO) for each in both), strict=True)
    columns = (
        repeat(1, len(positions)),
        net,
        _of_alone([None if value is None else value.copy_abs() for value in values]),
        [each if q and not short else _NOTHING for q, short, each in zip(quantities, is_short, net, strict=True)],
        [each if q and short else _NOTHING for q, short, each in zip(quantities, is_short, net, strict=True)],
        _of_alone(days),
        _of_alone(opened),
        _of_alone(realized),
        _of_alone(unrealized),
        _of_alone(costs),
        paid,
        returned,
        map(int, [v is None or d is None or u is None for v, d, u in zip(values, days, unrealized, strict=True)]),
        map(int, [a is not None and a.copy_abs() < q.copy_abs() for a, q in zip(available, quantities, strict=True)]),
        map(int, map(is_, available, repeat(None))),
        [
            1 if q and kind in (longs if q.is_signed() else shorts) else 0
            for q, kind in zip(quantities, types, strict=True)
        ],
    )
    return list(map(_totals, zip(*columns, strict=True)))


def _of_alone(column: Sequence[Decimal | None]) -> list[Sum]:
    """The sum of each value alone."""
    if _lacks_some(column):
        return [_MISSING if value is None else Sum(value, 1) for value in column]
    return list(map(_sum, zip(column, repeat(1), repeat(0))))


def _lacks_some(column: Sequence[Decimal | None]) -> bool:
    # To look for None with `in` would compare it with every number.
    return any(map(is_, column, repeat(None)))


# As `_make`, without a call of Python's for each.
_sum: Callable[[Iterable[Any]], Sum] = partial(tuple.__new__, Sum)
_totals: Callable[[Iterable[Any]], Totals] = partial(tuple.__new__, Totals)
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
