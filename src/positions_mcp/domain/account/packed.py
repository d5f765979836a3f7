"""Positions in a twentieth of their memory: of a listing that is kept, a page is looked at now and then."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any, get_type_hints, overload

from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.enums import PositionType, SecurityType

_AT_A_TIME = 250
"""Rows that are packed, and unpacked, together."""
_FAST = 1
_WHOLE = tuple(name for name in Position._fields if name != "extra")
_IN_BRIEF = ("account_id", *Holding.FIELDS)
_NUMBERS = [name for name, kind in get_type_hints(Position).items() if kind in (Decimal, Decimal | None)]
_AS_TEXT = frozenset((*_NUMBERS, "closing_price_date"))
"""What JSON has no form of its own for."""
_READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS, Decimal),
    "closing_price_date": date.fromisoformat,
    "instrument_type": SecurityType,
    "position_type": PositionType,
    "underlying_instrument_type": SecurityType,
}


class PackedPositions(Sequence[Holding]):
    """Positions as they were, exactly, but for fields that this program does not know. Implements `Sequence`."""

    def __init__(self, positions: Sequence[Holding]) -> None:
        self._count = len(positions)
        self._names = _WHOLE if positions and isinstance(positions[0], Position) else _IN_BRIEF
        starts = range(0, self._count, _AT_A_TIME)
        self._packs = [self._packed(positions[start : start + _AT_A_TIME]) for start in starts]

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return sum(map(len, self._packs))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Holding: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Holding]: ...

    def __getitem__(self, index: int | slice) -> Holding | Sequence[Holding]:
        wanted = range(self._count)[index]
        if isinstance(wanted, int):
            return self._unpacked(wanted // _AT_A_TIME)[wanted % _AT_A_TIME]
        packs = {number: self._unpacked(number) for number in {each // _AT_A_TIME for each in wanted}}
        return [packs[each // _AT_A_TIME][each % _AT_A_TIME] for each in wanted]

    def __iter__(self) -> Iterator[Holding]:
        for number in range(len(self._packs)):
            yield from self._unpacked(number)

    def _packed(self, positions: Sequence[Holding]) -> bytes:
        rows = zip(*map(attrgetter(*self._names), positions), strict=True)
        columns = [
            [None if value is None else str(value) for value in column] if name in _AS_TEXT else column
            for name, column in zip(self._names, rows, strict=True)
        ]
        return zlib.compress(json.dumps(columns).encode(), _FAST)

    def _unpacked(self, number: int) -> list[Position]:
        columns: dict[str, list[Any]] = dict(
            zip(self._names, json.loads(zlib.decompress(self._packs[number])), strict=True)
        )
        for name, read in _READ.items():
            if name in columns:
                columns[name] = [None if value is None else read(value) for value in columns[name]]
        return [Position(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
