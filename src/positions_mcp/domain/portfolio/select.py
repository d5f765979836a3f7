"""Choosing and ordering positions of a book."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter

from positions_mcp.domain.enums import PositionSortKey, SecurityType, SortDirection
from positions_mcp.domain.portfolio.resolve import Holdings, find_underlying
from positions_mcp.domain.portfolio.underlyings import Underlyings
from positions_mcp.domain.positions import Book, Position, Side


@dataclass(frozen=True, slots=True)
class Filter:
    """Which positions are wanted; what is not given does not narrow. Conditions are joined by "and"."""

    instruments: tuple[str, ...] = ()
    """Symbols, OSI symbols in any spacing or UUIDs, each of which must be held."""
    underlying: str | None = None
    """A symbol or UUID: the instrument itself and every option on it."""
    instrument_type: SecurityType | None = None
    side: Side | None = None

    @property
    def is_narrowing(self) -> bool:
        """Whether anything is asked for at all."""
        return self != Filter()


def select(book: Book, wanted: Filter) -> list[Position]:
    """The positions of `book` that `wanted` describes, in the book's order.

    Raises:
        UnknownInstrument: an instrument or underlying is named that nothing held answers to.
        InvalidInput: a name means several instruments.
    """
    positions: Iterable[Position] = book.positions
    if wanted.instruments:
        positions = Holdings(book).find_all(wanted.instruments)
    if wanted.underlying is not None:
        underlyings = Underlyings(book.positions)
        name = find_underlying(wanted.underlying, book.positions, underlyings)
        positions = [position for position in positions if underlyings.matches(position, name)]
    if wanted.instrument_type is SecurityType.OPTION:
        positions = [position for position in positions if position.is_option]
    elif wanted.instrument_type is not None:
        positions = [position for position in positions if position.instrument_type is wanted.instrument_type]
    if wanted.side is not None:
        positions = [position for position in positions if position.side is wanted.side]
    return list(positions)


def largest_first(positions: Iterable[Position]) -> list[Position]:
    """By absolute market value, largest first; positions without a value come last."""
    return _ordered(positions, lambda position: _absolute(position.market_value), descending=True)


def largest(positions: Iterable[Position], count: int) -> list[Position]:
    """The `count` positions of the largest absolute market value, among those that have one."""
    valued = [
        (position.market_value.copy_abs(), position) for position in positions if position.market_value is not None
    ]
    return [position for _, position in heapq.nlargest(count, valued, key=_first)]


def sort(positions: Iterable[Position], key: PositionSortKey, direction: SortDirection) -> list[Position]:
    """By one of the API's sort keys. Positions without the value come last in either direction."""
    return _ordered(positions, _KEYS[key], descending=direction is SortDirection.DESC)


def natural_direction(key: PositionSortKey) -> SortDirection:
    """The direction people mean when they name only the key: words ascend, numbers descend."""
    return SortDirection.ASC if key in _WORDS else SortDirection.DESC


def movers(positions: Iterable[Position], count: int) -> tuple[list[Position], list[Position]]:
    """The `count` positions that gained most today and the `count` that lost most, each the largest first."""
    gained: list[tuple[Decimal, Position]] = []
    lost: list[tuple[Decimal, Position]] = []
    for position in positions:
        day = position.daily_unrealized_pnl
        if day:
            (gained if day > 0 else lost).append((day, position))
    winners = heapq.nlargest(count, gained, key=_first)
    losers = heapq.nsmallest(count, lost, key=_first)
    return [position for _, position in winners], [position for _, position in losers]


_first = itemgetter(0)
_Value = Decimal | str | None
_WORDS = frozenset({PositionSortKey.SYMBOL, PositionSortKey.INSTRUMENT_TYPE, PositionSortKey.POSITION_TYPE})
_KEYS: dict[PositionSortKey, Callable[[Position], _Value]] = {
    PositionSortKey.SYMBOL: lambda position: position.name,
    PositionSortKey.INSTRUMENT_TYPE: lambda position: position.instrument_type,
    PositionSortKey.QUANTITY: lambda position: position.quantity,
    PositionSortKey.MARKET_VALUE: lambda position: position.market_value,
    PositionSortKey.POSITION_TYPE: lambda position: position.position_type,
    PositionSortKey.UNREALIZED_PNL: lambda position: position.unrealized_pnl,
    PositionSortKey.DAILY_UNREALIZED_PNL: lambda position: position.daily_unrealized_pnl,
    PositionSortKey.DAILY_REALIZED_PNL: lambda position: position.daily_realized_pnl,
}


def _ordered(positions: Iterable[Position], value: Callable[[Position], _Value], *, descending: bool) -> list[Position]:
    known: list[tuple[Decimal | str, Position]] = []
    missing: list[Position] = []
    for position in positions:
        if (key := value(position)) is None:
            missing.append(position)
        else:
            known.append((key, position))
    # The sort is stable: ties stand in the order of the book whichever way the key runs.
    known.sort(key=_first, reverse=descending)
    return [*(position for _, position in known), *missing]


def _absolute(value: Decimal | None) -> Decimal | None:
    # copy_abs does not round to the context as abs() would.
    return None if value is None else value.copy_abs()
