"""One call of a tool that may ask a person: what it has asked, and the progress that keeps it alive meanwhile.

The record belongs to the call and travels in a context variable, because the question is put by the SDK between two
pieces of this program: a resolver that words it and the tool's body that gets the answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.mcpserver.context import Context

from positions_mcp.domain.operation.operation import Operation

_CALL: ContextVar[Call] = ContextVar("positions_mcp_call")


@dataclass(slots=True)
class Call:
    """What has become of one call so far."""

    context: Context[Any, Any]
    asked: Operation | None = None
    """The operation whose question is before a person and not yet answered."""
    _saying: str = ""
    _started: float = field(default_factory=anyio.current_time)
    _reported: float = 0.0

    def unanswered(self) -> Operation | None:
        """The operation whose question came back without an answer that could be read, if there is one."""
        return self.asked

    async def say(self, words: str) -> None:
        """Tell the client what the call waits for, now and until something else is said."""
        self._saying = words
        await self._report()

    async def keep_alive(self, every_s: float) -> None:
        """Repeat it for as long as the call lasts. A client that has gone is not told."""
        while True:
            await anyio.sleep(every_s)
            await self._report()

    async def _report(self) -> None:
        if self._saying:
            elapsed = round(anyio.current_time() - self._started, 3)
            # Progress has to increase from one notification to the next, also within a millisecond.
            self._reported = max(elapsed, round(self._reported + 0.001, 3))
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await self.context.report_progress(self._reported, None, self._saying)


def this_call() -> Call:
    """The call that is being answered."""
    return _CALL.get()


@asynccontextmanager
async def calling(context: Context[Any, Any], heartbeat_s: float) -> AsyncIterator[Call]:
    """The record of one call, alive within."""
    call = Call(context)
    token = _CALL.set(call)
    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.keep_alive, heartbeat_s)
            try:
                yield call
            except Exception as error:  # raised outside: a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
    finally:
        _CALL.reset(token)
    if failure is not None:
        raise failure
