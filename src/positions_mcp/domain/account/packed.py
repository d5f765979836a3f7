"""Rows of a listing in a fraction of their memory: of one that is kept, a page is looked at now and then."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any, overload

from positions_mcp.domain.account.listings import Packed

AT_A_TIME = 250
"""Rows that are packed, and unpacked, together: more than a page has."""
_FAST = 1

Row = Sequence[str]
"""What stands under each column of a listing."""


def packed(rows: Sequence[Row]) -> list[bytes]:
    """All of them, so many at a time."""
    starts = range(0, len(rows), AT_A_TIME)
    return [zlib.compress(json.dumps(list(rows[at : at + AT_A_TIME])).encode(), _FAST) for at in starts]


def unpacked(pack: bytes) -> list[Row]:
    """Those of one pack, as they were."""
    rows: Any = json.loads(zlib.decompress(pack))
    return [[str(cell) for cell in row] for row in rows]


class PackedRows(Sequence[Row], Packed):
    """Implements `Sequence`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._count = len(rows)
        self._packs = packed(rows)
        self._size = sum(map(len, self._packs))

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return self._size

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        wanted = range(self._count)[index]
        if isinstance(wanted, int):
            return unpacked(self._packs[wanted // AT_A_TIME])[wanted % AT_A_TIME]
        packs = {number: unpacked(self._packs[number]) for number in {each // AT_A_TIME for each in wanted}}
        return [packs[each // AT_A_TIME][each % AT_A_TIME] for each in wanted]
