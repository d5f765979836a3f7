"""Streams of updates end with the token of whoever listens, as if its client had gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.ports import Clock


@dataclass(eq=False, slots=True)
class _Listening:
    ends_at: float
    over: anyio.Event = field(default_factory=anyio.Event)


class Streams:
    """The streams that are open. `sweep` ends those whose time is over; it is called again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: set[_Listening] = set()

    def sweep(self) -> None:
        """End every stream whose token is good no more."""
        now = self._clock.now().timestamp()
        for listening in list(self._open):
            if now >= listening.ends_at:
                listening.over.set()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, ends_at: float) -> None:
        """Answer a request by a stream, at the longest until then, in seconds since 1970."""
        started = finished = False

        async def noted(message: Message) -> None:
            nonlocal started, finished
            started = started or message["type"] == "http.response.start"
            finished = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        async with self._listening(ends_at) as listening:
            await app(scope, _until(listening.over, receive), noted)
            if listening.over.is_set() and started and not finished:
                await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def _listening(self, ends_at: float) -> AsyncIterator[_Listening]:
        listening = _Listening(ends_at)
        self._open.add(listening)
        try:
            yield listening
        finally:
            self._open.discard(listening)


def _until(over: anyio.Event, receive: Receive) -> Receive:
    """What the client sends, until `over`; then that it has gone."""

    async def heard() -> Message:
        message: Message = {"type": "http.disconnect"}

        async def hear() -> None:
            nonlocal message
            message = await receive()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            await over.wait()
            tasks.cancel_scope.cancel()
        return message

    return heard
