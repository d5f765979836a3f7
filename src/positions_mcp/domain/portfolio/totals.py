"""Exact sums over positions, which say how many values they lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import chain, islice, repeat
from operator import attrgetter, is_
from typing import Any, Generic, Literal, NamedTuple, NewType, TypeAlias, TypeVar

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import PositionType
from positions_mcp.domain.many import a_few_of
from positions_mcp.domain.money import EXACT, ZERO, percent

KeyT = TypeVar("KeyT")


class Sum(NamedTuple):
    """The exact sum of the values that were known, and how many were and were not."""

    amount: Decimal = ZERO
    known: int = 0
    missing: int = 0

    @property
    def total(self) -> Decimal | None:
        """The amount; zero for no values at all, but None where there were values and none was known."""
        return None if self.missing and not self.known else self.amount


_NOTHING = Sum()
_FLAT, _LONG, _SHORT = range(3)
_NONE = str(None)
_PLACES = {"gross": 0, "day_pnl": 1, "unrealized_pnl": 4}
"""Where in the figures of a position these stand."""
_Figures: TypeAlias = tuple[Any, ...]
"""Of one position the amounts of `_figures`, its side, and whether it is locked, may be, and contradicts itself."""


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
    """Unrealized profit or loss of those."""
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
        """Unrealized profit or loss as percent of absolute cost, of the positions that say both."""
        return percent(self.returned, self.paid)

    @property
    def gross_cost(self) -> Decimal | None:
        """What that percent is of, where it is not simply the cost basis: shorts have a negative one."""
        return self.paid if self.paid and self.paid != self.cost_basis.amount.copy_abs() else None

    @classmethod
    def of(cls, positions: Iterable[Holding]) -> Totals:
        """The totals of `positions`, which are looked at a few at a time."""
        return cls.merged(cls._make(_added(_figures(part))) for part in a_few_of(positions))

    @classmethod
    def merged(cls, tallies: Iterable[Tally]) -> Totals:
        """The totals of everything that has been counted there."""
        whole = cls()
        for some in a_few_of(tallies):
            noted = cls._make(_added([_figures_of(each) for each in some if isinstance(each, str)]))
            totals = [each for each in some if isinstance(each, Totals)]
            with localcontext(EXACT):
                whole = cls._make(map(_together, zip(whole, noted, *totals, strict=True)))
        return whole


def _together(column: Sequence[Any]) -> Any:
    return Sum._make(map(sum, zip(*column, strict=True))) if type(column[0]) is Sum else sum(column)


Noted = NewType("Noted", str)
"""What one position comes to, as text: of a large book most groups may have but one, and few of them are shown."""
Tally = Totals | Noted


def amount_of(tally: Tally, name: Literal["gross", "day_pnl", "unrealized_pnl"]) -> Decimal | None:
    if isinstance(tally, Totals):
        total: Decimal | None = getattr(tally, name).total
        return total
    (amount,) = _amounts([tally.split(" ")[_PLACES[name]]])
    return amount.copy_abs() if amount is not None and name == "gross" else amount


def _amounts(texts: Iterable[str]) -> Iterator[Decimal | None]:
    return (None if text == _NONE else Decimal(text) for text in texts)


def _figures_of(noted: Noted) -> _Figures:
    *amounts, flags = noted.split(" ")
    return (*_amounts(amounts), *map(int, flags))


class Tallies(Generic[KeyT]):
    """Totals of the positions that share a key, growing while positions come in."""

    def __init__(self) -> None:
        self._kept: dict[KeyT, Tally] = {}

    def add(self, parts: Mapping[KeyT, Sequence[Holding]]) -> None:
        of_each = iter(_figures(list(chain.from_iterable(parts.values()))))
        for key, part in parts.items():
            found = list(islice(of_each, len(part)))
            if key in self._kept:
                self._kept[key] = Totals.merged((self._kept[key], Totals._make(_added(found))))
            elif len(found) == 1:
                *amounts, short, locked, lock_unknown, contradicting = found[0]
                flags = f"{short}{locked:d}{lock_unknown:d}{contradicting:d}"
                self._kept[key] = Noted(" ".join([*map(str, amounts), flags]))
            else:
                self._kept[key] = Totals._make(_added(found))

    def tallies(self) -> Mapping[KeyT, Tally]:
        """What has been counted so far, by key."""
        return self._kept


def _figures(positions: Sequence[Holding]) -> list[_Figures]:
    """Of each position alone, worked out column by column: a book may have a hundred thousand."""
    if not positions:
        return []
    quantities, available, values, opened, realized, unrealized, costs, types = zip(
        *map(_columns, positions), strict=True
    )
    days = opened
    if not all(values):
        values = tuple(position.value for position in positions)
    if any(realized) or any(map(is_, opened, repeat(None))):  # `in` would compare None with every number
        days = tuple(position.day_pnl for position in positions)
    longs, shorts = _sides(frozenset(types))
    columns = (
        values,
        days,
        opened,
        realized,
        unrealized,
        costs,
        [
            (_SHORT if q.is_signed() or kind in shorts else _LONG) if q else _FLAT
            for q, kind in zip(quantities, types, strict=True)
        ],
        [a is not None and a.copy_abs() < q.copy_abs() for a, q in zip(available, quantities, strict=True)],
        map(is_, available, repeat(None)),
        [bool(q) and kind in (longs if q.is_signed() else shorts) for q, kind in zip(quantities, types, strict=True)],
    )
    return list(zip(*columns, strict=True))


def _added(figures: Sequence[_Figures]) -> Iterable[Any]:
    """The fields of the totals of these."""
    if not figures:
        return Totals()
    values, days, opened, realized, unrealized, costs, sides, locked, lock_unknown, contradicting = zip(
        *figures, strict=True
    )
    both = [(r, c) for r, c in zip(unrealized, costs, strict=True) if r is not None and c is not None]
    with localcontext(EXACT):
        return (
            len(figures),
            _sum(values),
            _sum([None if value is None else value.copy_abs() for value in values]),
            _sum([value for value, side in zip(values, sides, strict=True) if side == _LONG]),
            _sum([value for value, side in zip(values, sides, strict=True) if side == _SHORT]),
            _sum(days),
            _sum(opened),
            _sum(realized),
            _sum(unrealized),
            _sum(costs),
            sum([c.copy_abs() for _, c in both], ZERO),
            sum([r for r, _ in both], ZERO),
            sum([v is None or d is None or u is None for v, d, u in zip(values, days, unrealized, strict=True)]),
            sum(locked),
            sum(lock_unknown),
            sum(contradicting),
        )


def _sum(column: Sequence[Decimal | None]) -> Sum:
    known = [value for value in column if value is not None]
    return Sum(sum(known, ZERO), len(known), len(column) - len(known))


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
