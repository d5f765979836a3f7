"""Letting others have their turn beside work that takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.lowlevel
import anyio.to_thread

T = TypeVar("T")

MANY = 2_000
"""Rows with which work takes longer than others should wait."""
_TURNS = 6
"""Of the event loop: a short call needs several to get on by one request or answer."""


async def give_way() -> None:
    """Let whatever else is ready run, several steps of it. Costs next to nothing where nothing is."""
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()


async def beside_others(rows: int, work: Callable[[], T]) -> T:
    """What `work` returns: done at once where it is about few rows, and in a thread of its own where about many."""
    return work() if rows <= MANY else await anyio.to_thread.run_sync(work)
