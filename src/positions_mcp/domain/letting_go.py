"""Long lists, put in order and let go of a few thousand items at a time.

Nothing else in the process runs while a hundred thousand are sorted, or freed, at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from typing import Any, TypeVar

T = TypeVar("T")

_MANY = 2_000
_left: deque[list[Any]] = deque()
"""What was held by lists that are gone."""


def in_order(items: Sequence[T], key: Callable[[T], Any], *, descending: bool = False) -> Iterable[T]:
    """As `sorted`: equal ones stand as they stood."""
    runs = [sorted(items[at : at + _MANY], key=key, reverse=descending) for at in range(0, len(items), _MANY)]
    return merge(*runs, key=key, reverse=descending) if len(runs) > 1 else runs[0] if runs else ()


def leave(items: list[Any]) -> None:
    """Leave items that nobody needs to `let_go_some`."""
    if len(items) > _MANY:
        _left.append(items)


class LongList(list[T]):
    """A list that leaves its items to `let_go_some` when nobody has it any more."""

    __slots__ = ()

    def __del__(self) -> None:
        leave(self[:])


def let_go_some() -> bool:
    """Free a few of the items that are left; returns whether there are more."""
    try:
        items = _left.pop()
    except IndexError:
        return False
    del items[-_MANY:]
    if items:
        _left.append(items)
    return bool(_left)
