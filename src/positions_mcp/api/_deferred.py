"""Positions of a large book, of which at first only what it takes to find one is decoded.

A close looks at few of a hundred thousand rows. The rest of a row is decoded when somebody asks for it, to the same
position as at once. Whatever decides whether a row can be read, and whether two rows are about the same holding, is
decoded at once, so that a book knows from the beginning whether it is complete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

from positions_mcp.api._document import decode
from positions_mcp.api._ordinary import OrdinaryPositions, Rows, are_ordinary, struct_fields
from positions_mcp.api._wire import read_record
from positions_mcp.domain.account.positions import Holding, Position

if TYPE_CHECKING:
    import msgspec

_MANY = 2**17
"""Bytes of rows, some two hundred: fewer are decoded whole."""
_AT_ONCE = (
    "account_id",
    "instrument_id",
    "quantity",
    "symbol",
    "instrument_type",
    "position_type",
    "underlying_instrument_id",
)
_ONE_BY_ONE = 8
"""Rows of a page that are decoded alone; with the next one all others are."""


class DeferredPositions:
    """Reads ordinary pages: small ones whole, large ones as positions that are decoded as they are looked at."""

    def __init__(self, ordinary: OrdinaryPositions) -> None:
        self._ordinary = ordinary

    def read(self, rows: Rows) -> list[Position] | None:
        """The positions of a page; None where not all rows are ordinary, as far as they are decoded."""
        if memoryview(rows).nbytes < _MANY:
            return self._ordinary.read(rows)
        return self._deferred(rows) or self._ordinary.read(rows)

    def _deferred(self, rows: Rows) -> list[Position] | None:
        import msgspec

        try:
            str(rows, "utf-8")
            held = _decode_at_once()(rows)
        except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
            return None
        if not are_ordinary(held, _AT_ONCE):
            return None
        put = msgspec.structs.force_setattr  # nothing else changes a position
        deque(map(put, held, repeat("page"), repeat(_Page(rows, self._ordinary))), maxlen=0)
        deque(map(put, held, repeat("number"), range(len(held))), maxlen=0)
        return cast("list[Position]", held)


class _Deferred(Holding):
    """Stands for a position: has all that one has, and equals it. Its base and its fields are those of a struct."""

    __slots__ = ()
    if TYPE_CHECKING:
        page: _Page
        number: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)

    def __eq__(self, other: object) -> bool:
        return self._whole() == (other._whole() if isinstance(other, _Deferred) else other)

    def __hash__(self) -> int:
        return hash(self._whole())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __getitem__(self, index: Any) -> Any:
        return self._whole()[index]

    def __repr__(self) -> str:
        return repr(self._whole())

    def __reduce__(self) -> tuple[Any, ...]:
        return Position, tuple(self._whole())

    def __copy__(self) -> Position:
        return self._whole()

    def _whole(self) -> Position:
        # Rows that can be skipped and yet not be decoded say no more than what was decoded at once.
        return self.page.position(self.number) or Position(**{name: getattr(self, name) for name in _AT_ONCE})


class _Page:
    """The rows of a page as they came, and the positions that were made of some."""

    def __init__(self, rows: Rows, ordinary: OrdinaryPositions) -> None:
        self._rows, self._ordinary = rows, ordinary
        self._made: dict[int, Position | None] = {}
        self._alone: Sequence[msgspec.Raw] = ()
        self._are_ordinary = True
        """Whether all rows together may be, as far as that was tried."""

    def position(self, number: int) -> Position | None:
        """The position of a row; None where it cannot be decoded."""
        if number not in self._made:
            self._make(number)
        return self._made[number]

    def _make(self, number: int) -> None:
        if len(self._made) >= _ONE_BY_ONE and self._are_ordinary:
            if (all_of_them := self._ordinary.read(self._rows)) is not None:
                self._made = dict(enumerate(all_of_them))
                return
            self._are_ordinary = False
        try:
            self._alone = self._alone or _split()(self._rows)
            self._made[number] = self._decoded(self._alone[number])
        except RecursionError:  # how deep a row may be depends on where it is looked at from
            self._made[number] = None

    def _decoded(self, row: msgspec.Raw) -> Position | None:
        if ordinary := self._ordinary.read(memoryview(b"[%b]" % row)):
            return ordinary[0]
        document = decode(bytes(row))
        record = read_record(Position, document)
        return None if isinstance(record, str) else record


@cache
def _decode_at_once() -> Callable[[Rows], list[Any]]:
    import msgspec

    fields = [*struct_fields(_AT_ONCE), ("page", Any, None), ("number", Any, None)]
    row = msgspec.defstruct("DeferredRow", fields, bases=(_Deferred, msgspec.Struct), eq=False, frozen=True, gc=False)
    return msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


@cache
def _split() -> Callable[[Rows], list[msgspec.Raw]]:
    import msgspec

    return msgspec.json.Decoder(list[msgspec.Raw]).decode
