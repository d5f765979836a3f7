"""The official SDK's client over standard input and output, called from code that is not asynchronous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import start_blocking_portal
from benchmarks.processes import environment
from mcp import Client, StdioServerParameters


class SdkClient:
    """A client of one server process: what it receives is parsed and checked, as a host does it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._server = StdioServerParameters(command=command[0], args=list(command[1:]), env=environment(env))
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._open.enter_context(start_blocking_portal())
        self._client = self._open.enter_context(self._portal.wrap_async_context_manager(Client(self._server)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Call a tool. Raises RuntimeError where it answers an error."""
        result = self._portal.call(self._client.call_tool, tool, dict(arguments or {}))
        if result.is_error:
            raise RuntimeError(f"{tool} answered {result.content}")
