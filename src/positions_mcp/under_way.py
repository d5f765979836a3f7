"""How much is under way, and waiting until nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class UnderWay:
    """Counts what has begun and not ended."""

    def __init__(self) -> None:
        self.count = 0
        self._idle = anyio.Event()
        self._idle.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more until it ends."""
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
        """Wait until nothing is under way."""
        while self.count:
            await self._idle.wait()
