"""Many items, worked on a few at a time: nothing else in the process runs while a hundred thousand are at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeVar, overload

T = TypeVar("T")

AT_A_TIME = 1_000


def a_few_of(items: Iterable[T], count: int = AT_A_TIME) -> Iterator[list[T]]:
    """All of them, in their order, so many at a time."""
    left = iter(items)
    return iter(lambda: list(islice(left, count)), [])


def in_order(items: Sequence[T], key: Callable[[T], Any], *, descending: bool = False) -> Iterable[T]:
    """As `sorted`: equal ones stand as they stood."""
    runs = [sorted(some, key=key, reverse=descending) for some in a_few_of(items)]
    return merge(*runs, key=key, reverse=descending) if len(runs) > 1 else runs[0] if runs else ()


class OnDemand(Sequence[T]):
    """Items that are made whenever they are looked at, rather than kept."""

    @abstractmethod
    def made(self, wanted: range) -> Sequence[T]:
        """Those at these places."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        wanted = range(len(self))[index]
        return self.made(range(wanted, wanted + 1))[0] if isinstance(wanted, int) else self.made(wanted)
