"""Tells pages that something has changed: one reading of the journal's end serves every page that listens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from positions_mcp.domain.errors import StoreUnavailable

POLL_S = 0.1
HEARTBEAT_S = 10.0
_STANDS_S = 0.7
"""How often it is looked whether who listens is still signed in: elsewhere they may have signed out."""


class Changes:
    """The number of the latest change, read only while somebody waits for the next one."""

    def __init__(self, newest: Callable[[], Awaitable[int]], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._newest = newest
        self._sleep = sleep
        self._listeners = 0
        self._number = -1
        self._changed = anyio.Event()

    async def run(self) -> None:
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

    async def stream(self, goes_on: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """Server-sent events: the number at once, at each change, and a heartbeat; ends when `goes_on` says so."""
        self._listeners += 1
        try:
            changed = self._changed
            self._number = await self._read()
            yield _event(self._number)
            beats_at = anyio.current_time() + HEARTBEAT_S
            while await goes_on():
                with anyio.move_on_after(_STANDS_S):
                    await changed.wait()
                if changed.is_set() or anyio.current_time() >= beats_at:
                    changed, beats_at = self._changed, anyio.current_time() + HEARTBEAT_S
                    if await goes_on():
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
