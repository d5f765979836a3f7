"""Tells pages that something has changed: one reading of the journal's end serves every page that listens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from positions_mcp.domain.errors import StoreUnavailable

POLL_S = 0.1
HEARTBEAT_S = 10.0


class Changes:
    """The number of the latest change, read only while somebody waits for the next one."""

    def __init__(self, newest: Callable[[], Awaitable[int]], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._newest = newest
        self._sleep = sleep
        self._listeners = 0
        self._number = -1
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await self._sleep(POLL_S)
            if not self._listeners:
                continue
            number = await self._read()
            if number != self._number:
                self._number = number
                self.look_again()

    def look_again(self) -> None:
        """Let every stream say what holds now: one whose session has ended ends."""
        self._changed.set()
        self._changed = anyio.Event()

    async def stream(self, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Server-sent events: the number at once, at each change, and a heartbeat; ends when `goes_on` says so."""
        self._listeners += 1
        try:
            changed = self._changed
            self._number = await self._read()
            yield _event(self._number)
            while goes_on():
                with anyio.move_on_after(HEARTBEAT_S):
                    await changed.wait()
                changed = self._changed
                if goes_on():
                    yield _event(self._number)
            yield b"event: over\ndata: {}\n\n"
        finally:
            self._listeners -= 1

    async def _read(self) -> int:
        try:
            return await self._newest()
        except StoreUnavailable:
            return -1


def _event(number: int) -> bytes:
    """A heartbeat carries the number too, so that nothing is missed for long. -1: the store cannot be read."""
    return f"data: {json.dumps({'number': number})}\n\n".encode()
