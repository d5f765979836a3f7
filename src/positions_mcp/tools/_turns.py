"""Letting others have their turn beside work that takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

T = TypeVar("T")

MANY = 2_000
"""Rows with which work takes longer than others should wait."""


async def beside_others(rows: int, work: Callable[[], T]) -> T:
    """What `work` returns: done at once where it is about few rows, and in a thread of its own where about many."""
    return work() if rows <= MANY else await anyio.to_thread.run_sync(work)
