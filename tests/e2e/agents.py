"""Agents: clients of the MCP SDK over stdio and HTTP, each with the means of some chat application."""

from __future__ import annotations

import queue
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from anyio.from_thread import BlockingPortal
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CallToolResult,
    ElicitationCapability,
    ElicitCompleteNotification,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    FormElicitationCapability,
    Implementation,
)

from data_dirs import PROGRAM
from e2e.installation import Installation
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock

Means = Literal["nothing", "form", "links"]
"""What a chat application can show to a person: nothing as Claude Desktop, forms alone, or forms and links."""
ERAS = {"2025-11-25": "legacy", "2026-07-28": "2026-07-28"}
"""Protocol versions, and what the SDK calls them."""
_LINK = re.compile(r"http://localhost:\d+/op/op-[0-9a-z]+")
_SECONDS = 60.0


@dataclass
class Call:
    """A call of a tool that may take a while."""

    future: Future[CallToolResult]
    heard: queue.SimpleQueue[str]
    """What the server says while the call waits."""

    def link(self) -> str:
        """The plan's page, as the agent is told while its call waits."""
        for _ in range(int(_SECONDS)):
            with suppress(queue.Empty):
                if found := _LINK.search(self.heard.get(timeout=1)):
                    return found[0]
            assert not self.is_over, self.result()
        raise TimeoutError("no page was named")

    @property
    def is_over(self) -> bool:
        """Whether it was answered."""
        return self.future.done()

    def result(self) -> CallToolResult:
        """What came back."""
        return self.future.result(_SECONDS)

    def error(self) -> str:
        """The text of an error."""
        result = self.result()
        assert result.is_error
        return _text_of(result)

    def answer(self) -> dict[str, Any]:
        """Its structured content, if it is no error."""
        result = self.result()
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    def text(self) -> str:
        """Its text, if it is no error."""
        result = self.result()
        assert not result.is_error, result.content
        return _text_of(result)


def _text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


@dataclass
class Application:
    """What a chat application was asked to do for its person."""

    fills_in: Any = None
    opened: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    """Links that it opened."""
    forms: list[str] = field(default_factory=list)
    """Questions that it showed as forms."""
    completed: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    """Pages that need to be open no longer, as the server said."""

    async def ask(self, _: object, asked: ElicitRequestURLParams | ElicitRequestFormParams) -> ElicitResult:
        """Show a form or open a link. That it was opened says nothing of what is decided there."""
        if isinstance(asked, ElicitRequestURLParams):
            self.opened.put(asked.url)
            return ElicitResult(action="accept")
        self.forms.append(asked.message)
        return ElicitResult(action="accept", content=self.fills_in)

    async def hear(self, message: object) -> None:
        """Take a notification."""
        if isinstance(message, ElicitCompleteNotification):
            self.completed.put(message.params.elicitation_id)

    def link(self) -> str:
        """The link that it opened next."""
        return self.opened.get(timeout=_SECONDS)


@dataclass
class Agent:
    """A conversation with a server."""

    client: Client
    portal: BlockingPortal
    application: Application

    def calls(self, tool: str, **arguments: Any) -> Call:
        """Call a tool, and do not wait for the answer."""
        heard: queue.SimpleQueue[str] = queue.SimpleQueue()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.put(message or "")

        async def call() -> CallToolResult:
            return await self.client.call_tool(tool, arguments, progress_callback=hear)

        return Call(self.portal.start_task_soon(call), heard)

    def closes(self, *symbols: str) -> Call:
        """Ask to close positions."""
        return self.calls("close_positions", instruments=list(symbols))

    def follows(self, operation_id: str) -> dict[str, Any]:
        """Wait until nothing more happens to an operation by itself."""
        return self.calls("get_operation", operation_id=operation_id, wait_s=30).answer()


class _FormsOnly(Client):
    """A client that shows forms and opens no links."""

    async def _build_session(self, exit_stack: Any) -> ClientSession:
        session = await super()._build_session(exit_stack)
        declared, forms = session._build_capabilities, ElicitationCapability(form=FormElicitationCapability())
        session._build_capabilities = lambda version: declared(version).model_copy(update={"elicitation": forms})
        return session


@contextmanager
def agent(
    installation: Installation,
    *,
    over: str = "",
    era: str = "2026-07-28",
    can: Means = "nothing",
    name: str = "Agent",
    fills_in: Any = None,
) -> Iterator[Agent]:
    """An agent on a stdio server of its own, or at the address of an HTTP one."""
    application = Application(fills_in)

    @asynccontextmanager
    async def conversation() -> AsyncIterator[Client]:
        async with _transport(installation, over, name) as transport:
            client = (_FormsOnly if can == "form" else Client)(
                transport,
                mode=ERAS[era],
                elicitation_callback=None if can == "nothing" else application.ask,
                message_handler=application.hear,
                client_info=Implementation(name=name, version="1"),
            )
            async with client:
                yield client

    talk = installation.portal.wrap_async_context_manager(conversation())
    client = talk.__enter__()
    try:
        yield Agent(client, installation.portal, application)
    finally:
        talk.__exit__(None, None, None)  # a test that fails is not told of in terms of task groups


@asynccontextmanager
async def _transport(installation: Installation, over: str, name: str) -> AsyncIterator[Any]:
    if not over:
        command, *words = PROGRAM
        server = StdioServerParameters(command=command, args=[*words, "serve"], env=dict(installation.environment))
        with tempfile.TemporaryFile("w+") as complaints:
            yield stdio_client(server, errlog=complaints)
            complaints.seek(0)
            complaints.read()
        return
    token = TokenFile(installation.data_dir).issue(name, SystemClock().now())
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        yield streamable_http_client(over, http_client=http)
