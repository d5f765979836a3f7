"""What a server needs only when it is used, and therefore makes late: its tools, and the parts that they work with.

A client waits for the list of tools first. What is published of them is written in `definitions.json`, which a test
holds equal to what the tools are; so the list costs no import of theirs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver.exceptions import UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import ToolAnnotations

from positions_mcp.domain.errors import PositionsError, ReadFailed, Refused, Sent

if TYPE_CHECKING:
    from mcp.server.mcpserver.context import Context

    from positions_mcp.tools._deps import Deps

_log = logging.getLogger(__name__)
_NOT_READY = "The server cannot get ready for this; its log says why. Try again."

DEFINITIONS = Path(__file__).with_name("definitions.json")

OpenDeps = Callable[[], "AbstractAsyncContextManager[Deps]"]
"""Opens the parts for one life of the server and closes them at its end."""


def late_tools() -> list[Tool]:
    """Every tool, as it is published."""
    return [
        LateTool(
            fn=built,  # never called: `run` is overridden
            name=published["name"],
            title=published["title"],
            description=published["description"],
            parameters=published["inputSchema"],
            fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=published["outputSchema"]),
            is_async=True,
            annotations=ToolAnnotations.model_validate(published["annotations"]),
        )
        for published in json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    ]


class LateTool(Tool):
    """A tool that is built when it is first called."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """As the tool itself. Raises UnexpectedToolError where it cannot be built."""
        try:
            tool = built(self.name)
        except Exception as error:
            _log.exception("The tool %s cannot be built", self.name)
            raise UnexpectedToolError(f"{_NOT_READY} Nothing was sent.") from error
        return await tool.run(arguments, context, convert_result)


@cache
def built(name: str) -> Tool:
    """The tool itself."""
    from positions_mcp.tools.catalogue import CATALOGUE

    (spec,) = (each for each in CATALOGUE if each.name == name)
    return spec.build()


class LateDeps:
    """The parts, opened when they are first asked for and closed with the server: what its lifespan yields."""

    def __init__(self, open_deps: OpenDeps) -> None:
        self._open = open_deps
        self._wanted = anyio.Event()
        self._answered = anyio.Event()
        self._closing = anyio.Event()
        self._deps: Deps | None = None
        self._failure: PositionsError | None = None

    async def get(self) -> Deps:
        """The parts. Raises PositionsError where they cannot be opened; who asks next tries again."""
        if self._deps is None:
            answered = self._answered
            self._wanted.set()
            await answered.wait()
        if self._deps is None:
            raise self._failure or Refused("The server is closing. Nothing was sent.")
        return self._deps

    async def hold(self) -> None:
        """Open the parts when they are wanted, and hold them open until `close`. Belongs to the server's lifespan."""
        try:
            while True:
                await self._wanted.wait()
                if self._closing.is_set():
                    return
                try:
                    await self._hold_open()
                except Exception as error:
                    if self._deps is not None:
                        raise
                    self._fail(error)
        finally:
            self._deps = self._failure = None
            self._answered.set()

    async def _hold_open(self) -> None:
        async with self._open() as deps, anyio.create_task_group() as background:
            background.start_soon(deps.updates.watch, deps.guard, deps.updates_every_s)
            self._deps = deps
            self._answered.set()
            await self._closing.wait()
            background.cancel_scope.cancel()

    def _fail(self, error: Exception) -> None:
        """Tell those who wait, and be ready for who asks next."""
        if not isinstance(error, PositionsError):
            _log.error("The server's parts cannot be opened", exc_info=error)
            error = ReadFailed(f"{_NOT_READY} Nothing was sent.", sent=Sent.NO)
        self._failure = error
        answered, self._answered, self._wanted = self._answered, anyio.Event(), anyio.Event()
        answered.set()

    def close(self) -> None:
        """Let `hold` come to its end."""
        self._closing.set()
        self._wanted.set()


async def deps_of(context: Context[LateDeps, Any]) -> Deps:
    """The parts of the server that a request came to."""
    return await context.request_context.lifespan_context.get()
