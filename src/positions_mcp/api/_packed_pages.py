"""Pages of a long listing, kept as compressed text between the times that somebody looks at them.

Decoded, a hundred thousand positions take 125 MB in a million small objects, which take long to be freed and leave
holes in memory; compressed, a few MB in a hundred objects. Decoding a page again takes a few milliseconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Self

from positions_mcp.api._ordinary import Rows, decode_holdings, read_holdings
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.many import OnDemand

_FAST = 1


class PackedPage(OnDemand[Holding]):
    """The positions of a page; once put away, they are made anew each time they are looked through."""

    __slots__ = ("_count", "_held", "_rows")

    def __init__(self, rows: Rows, held: list[Holding]) -> None:
        self._rows: Rows | bytes = rows
        self._held: list[Holding] | None = held
        self._count = len(held)

    @classmethod
    def read(cls, rows: Rows) -> Self | None:
        """The positions of a page in brief; None where not all rows are ordinary."""
        held = read_holdings(rows)
        return None if held is None else cls(rows, held)

    def put_away(self) -> None:
        """Keep no positions from now on."""
        if self._held is not None:
            self._rows = zlib.compress(self._rows, _FAST)
            self._held = None

    def _positions(self) -> list[Holding]:
        held = self._held
        return decode_holdings()(zlib.decompress(self._rows)) if held is None else held

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._positions())

    def __len__(self) -> int:
        return self._count

    def made(self, wanted: range) -> Sequence[Holding]:
        """Those at these places."""
        held = self._positions()
        return [held[each] for each in wanted]
