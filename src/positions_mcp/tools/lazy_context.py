"""The tools' context, opened when it is first needed: a client waits for the list of tools first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio

from positions_mcp.domain.errors import PositionsError, ReadFailed, Refused, Sent

if TYPE_CHECKING:
    from positions_mcp.tools.context import ToolContext

NOT_READY = "The server cannot get ready for this; its log says why. Try again. Nothing was sent by this call."

_log = logging.getLogger(__name__)

OpenContext = Callable[[], "AbstractAsyncContextManager[ToolContext]"]
"""Opens the context for one life of the server and closes it at its end."""


class LazyContext:
    """What the server's lifespan yields: the context, opened when first asked for and closed with the server."""

    def __init__(self, open_context: OpenContext) -> None:
        self._open = open_context
        self._wanted = anyio.Event()
        self._answered = anyio.Event()
        self._closing = anyio.Event()
        self._context: ToolContext | None = None
        self._failure: PositionsError | None = None

    async def get(self) -> ToolContext:
        """The context. Raises PositionsError where it cannot be opened; who asks next tries again."""
        if self._context is None:
            answered = self._answered
            self._wanted.set()
            await answered.wait()
        if self._context is None:
            raise self._failure or Refused("The server is closing.")
        return self._context

    async def hold(self) -> None:
        """Open the context when it is wanted, and keep it until `close`. Belongs to the server's lifespan."""
        try:
            while True:
                await self._wanted.wait()
                if self._closing.is_set():
                    return
                try:
                    await self._hold_open()
                except Exception as error:
                    if self._context is not None:
                        raise
                    self._fail(error)
        finally:
            self._context = self._failure = None
            self._answered.set()

    async def _hold_open(self) -> None:
        async with self._open() as context, anyio.create_task_group() as background:
            background.start_soon(context.updates.watch, context.guard, context.updates_every_s)
            background.start_soon(context.give_memory_back)
            self._context = context
            self._answered.set()
            await self._closing.wait()
            background.cancel_scope.cancel()

    def _fail(self, error: Exception) -> None:
        """Tell those who wait, and be ready for who asks next."""
        if not isinstance(error, PositionsError):
            _log.error("The tools' context cannot be opened", exc_info=error)
            error = ReadFailed(NOT_READY, sent=Sent.NO)
        self._failure = error
        answered, self._answered, self._wanted = self._answered, anyio.Event(), anyio.Event()
        answered.set()

    def close(self) -> None:
        """Let `hold` come to its end."""
        self._closing.set()
        self._wanted.set()
