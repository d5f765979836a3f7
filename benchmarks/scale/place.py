"""Where rows are measured: a folder, both databases, and how large things are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.stores import Store


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large things are and how often they are done. `QUICK` measures nothing, and shows that a row can be."""

    closes: int = 20
    rows_at_once: int = 100
    callers: tuple[int, ...] = (1, 10, 50, 100)
    calls: int = 300
    processes: tuple[int, ...] = (1, 2, 4)
    orders: int = 10_000
    positions: int = 100_000
    operations: int = 100_000
    subscribers: int = 10
    idle_s: float = 30
    rounds: int = 5


FULL = Sizes()
QUICK = Sizes(1, 2, (1, 2), 3, (1, 2), 200, 2_000, 20, 2, 0.5, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """What a row is given."""

    folder: Path
    stores: Callable[[str], Iterator[Store]]
    """An empty store of a name in each database, in turn."""
    sizes: Sizes = FULL
