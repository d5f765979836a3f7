"""Long lists whose items go a few at a time: to free a hundred thousand at once keeps everybody else waiting."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar

T = TypeVar("T")

_MANY = 2_000
_left: deque[list[Any]] = deque()
"""What was held by lists that are gone."""


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
