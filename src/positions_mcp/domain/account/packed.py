"""Rows of a listing in a fraction of their memory: of one that is kept, a page is looked at now and then."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from positions_mcp.domain.account.listings import Packed
from positions_mcp.domain.many import OnDemand, a_few_of

AT_A_TIME = 250
"""Rows that are packed, and unpacked, together: more than a page has."""
_FAST = 1

Row = Sequence[str]
"""What stands under each column of a listing."""


def as_text(row: Row) -> str:
    return json.dumps(list(row))


def unpacked(pack: bytes) -> list[Row]:
    rows: Any = json.loads(zlib.decompress(pack))
    return [[str(cell) for cell in row] for row in rows]


class PackedRows(OnDemand[Row], Packed):
    """Implements `Sequence`."""

    def __init__(self, texts: Iterable[str], count: int) -> None:
        some = a_few_of(texts, AT_A_TIME)
        self.packs = [zlib.compress(f"[{','.join(each)}]".encode(), _FAST) for each in some]
        self._count = count
        self._size = sum(map(len, self.packs))

    @classmethod
    def of(cls, rows: Sequence[Row]) -> PackedRows:
        """These, unless they are packed already."""
        return rows if isinstance(rows, cls) else cls(map(as_text, rows), len(rows))

    @property
    def size(self) -> int:
        return self._size

    def __len__(self) -> int:
        return self._count

    def made(self, wanted: range) -> Sequence[Row]:
        packs = {number: unpacked(self.packs[number]) for number in {each // AT_A_TIME for each in wanted}}
        return [packs[each // AT_A_TIME][each % AT_A_TIME] for each in wanted]
