"""What is under way: how much, whether anybody waits for it, and tasks that go on beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup


class InFlight:
    """Counts what has begun and not ended."""

    def __init__(self) -> None:
        self.count = 0
        self._idle = anyio.Event()
        self._idle.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        if not self.count:
            self._idle = anyio.Event()
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
            if not self.count:
                self._idle.set()

    async def until_idle(self) -> None:
        while self.count:
            await self._idle.wait()


def answered(scope: MutableMapping[str, Any]) -> anyio.Event:
    """Set when an HTTP request of a session is over: its client has the answer, or waits for none any more."""
    over: anyio.Event = scope.setdefault("state", {}).setdefault(__name__, anyio.Event())
    return over


@asynccontextmanager
async def tasks_beside() -> AsyncIterator[TaskGroup]:
    """Tasks that are cancelled where the block ends. What the block raises is raised as it is, and in no group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
