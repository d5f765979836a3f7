"""How long a call waits: one measure from its beginning to its end, whatever it waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from positions_mcp.guard.dependencies import Dependencies

OnWait = Callable[[float, float], Awaitable[None]]
"""Told (seconds waited, seconds at most) while a call waits."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and whom to tell meanwhile."""

    seconds: float
    on_wait: OnWait | None = None


class Waiting:
    """One call that waits. What a slow account takes counts as much as a pause."""

    def __init__(self, deps: Dependencies, wait: Wait) -> None:
        self._deps = deps
        self._wait = wait
        self._began = anyio.current_time()
        self._paused = 0.0

    @property
    def waited(self) -> float:
        """Seconds since it began."""
        return max(anyio.current_time() - self._began, self._paused)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is waited for."""
        return self.waited >= self._wait.seconds

    @property
    def is_within_a_reading(self) -> bool:
        """Whether it is over by less than one reading takes: what somebody else is sending is waited for that long."""
        return self.waited < self._wait.seconds + self._deps.reading.total_seconds()

    @property
    def time_left(self) -> float:
        """Seconds that what is begun now may take: to the end of the wait, and near it as long as one reading may."""
        return max(self._wait.seconds - self.waited, self._deps.reading.total_seconds())

    async def pause(self, seconds: float) -> None:
        """Tell how long it has been, and let some time pass."""
        if self._wait.on_wait is not None:
            await self._wait.on_wait(round(self.waited, 1), self._wait.seconds)
        pause = min(seconds, max(self._wait.seconds - self.waited, 0.01))
        await self._deps.sleep(pause)
        self._paused += pause
