"""Work that others wait for: they have their turn beside it, and identical work at one time is done once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

MANY = 2_000
"""Rows with which work takes longer than others should wait."""


async def beside_others(rows: int, work: Callable[[], T]) -> T:
    """What `work` returns: done at once where it is about few rows, and in a thread of its own where about many."""
    return work() if rows <= MANY else await anyio.to_thread.run_sync(work)


@dataclass(eq=False, slots=True)
class _Flight(Generic[T]):
    landed: anyio.Event = field(default_factory=anyio.Event)
    results: list[T] = field(default_factory=list)
    """One where it succeeded, none where it failed or was cancelled."""


class SingleFlight(Generic[T]):
    """Callers with the same key who come while one is at work wait for it and share its result.

    Where it fails, or its caller leaves, the next one in line does the work anew.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns. Raises what it raises."""
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            for result in flight.results:
                return result
        flight = self._flights[key] = _Flight()
        try:
            flight.results.append(await work())
            return flight.results[0]
        finally:
            del self._flights[key]
            flight.landed.set()
