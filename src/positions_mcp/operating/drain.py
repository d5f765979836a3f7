"""How a replica ends: readiness off, a grace in which it still answers, then nothing new, then what is under way.

A second signal ends the waiting. What is being sent is finished and journalled in any case: that is the executor's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from http import HTTPStatus

import anyio
import anyio.lowlevel
from starlette.types import ASGIApp, Receive, Scope, Send

from positions_mcp.asgi import again, refuse
from positions_mcp.in_flight import InFlight

LONGEST_CALL_S = 90.0
"""After this a call under way is not waited for: none takes longer than a person is waited for, and a request."""
_RETRY_S = 1
_SESSION = b"mcp-session-id"
_LISTENS = b'"subscriptions/listen"'
_ENDING = "This replica is ending. Ask again: another one answers. Nothing was sent by this call."

_log = logging.getLogger(__name__)


class Stage(Enum):
    """How far it is."""

    SERVING = "serving"
    LEAVING = "leaving"
    """Not ready, and still answering: balancers have yet to notice."""
    REFUSING = "refusing"
    """Nothing new begins."""


class Drain:
    """One for a server. `stop` is called when it is told to, and again when it is told again."""

    def __init__(self, grace_s: float, *, longest_call_s: float = LONGEST_CALL_S) -> None:
        self._grace_s = grace_s
        self._longest_call_s = longest_call_s if grace_s else 0.0
        self._hurry = anyio.Event()
        self._in_flight = InFlight()
        self.stage = Stage.SERVING
        self.leave: Callable[[], object] = lambda: None
        """Told when nothing new may begin."""
        self.settled: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint
        """Waits until nothing is being sent, with or without a call that waits for it."""

    @property
    def is_draining(self) -> bool:
        return self.stage is not Stage.SERVING

    def hurry(self) -> None:
        self._hurry.set()

    async def out(self, then: Callable[[], object]) -> None:
        """Go through the stages, and do what comes then. Without a grace it comes at once."""
        _log.info("draining: not ready from now on, answering for %g s", self._grace_s)
        self.stage = Stage.LEAVING
        await self._unless_hurried(self._grace_s, anyio.sleep_forever)
        self.stage = Stage.REFUSING
        self.leave()
        _log.info("draining: nothing new; %d calls under way", self._in_flight.count)
        await self._unless_hurried(self._longest_call_s, self._until_idle)
        _log.info("draining: over with %d calls under way", self._in_flight.count)
        then()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Counts calls, and refuses what would begin something new. For requests whose body is whole.

        What belongs to a session passes: a person's answer to a question of a call under way comes that way.
        """

        async def drained(scope: Scope, receive: Receive, send: Send) -> None:
            if self.stage is Stage.REFUSING and not any(name.lower() == _SESSION for name, _ in scope["headers"]):
                await refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, _ENDING, ("retry-after", str(_RETRY_S)))
                return
            first = await receive()
            if scope["method"] != "POST" or _LISTENS in first.get("body", b""):
                await app(scope, again(first, receive), send)  # a stream has no end of its own
                return
            with self._in_flight.one():
                await app(scope, again(first, receive), send)

        return drained

    async def _until_idle(self) -> None:
        await self._in_flight.until_idle()
        await self.settled()

    async def _unless_hurried(self, seconds: float, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait, for so long at the most."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:

                async def hurried() -> None:
                    await self._hurry.wait()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(hurried)
                await wait()
                tasks.cancel_scope.cancel()
