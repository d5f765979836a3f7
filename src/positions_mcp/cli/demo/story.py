"""What happens in the demo: a short conversation, each step through the MCP SDK's own client over stdio."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from positions_mcp import __version__
from positions_mcp.cli.demo.screen import Screen
from positions_mcp.cli.demo.snippets import executable, snippets


@dataclass(slots=True)
class Conversation:
    """One assistant's side of the talk: calls tools and shows what came back."""

    client: Client
    screen: Screen
    unexpected: list[str] = field(default_factory=list)

    async def ask(
        self, question: str, tool: str, arguments: Mapping[str, Any] | None = None, *, refused: bool = False
    ) -> dict[str, Any]:
        """Ask `question` by calling `tool`; show the answer and its size. Returns the structured content.

        An answer that is an error where none was expected (or none where `refused` expects one) is noted in
        `unexpected`, and the demo then ends with exit code 1.
        """
        self.screen.question(question)
        self.screen.call(tool, json.dumps(arguments or {}, ensure_ascii=False))
        started = time.perf_counter()
        result = await self.client.call_tool(tool, dict(arguments or {}))
        milliseconds = (time.perf_counter() - started) * 1000
        text = "\n".join(block.text for block in result.content if block.type == "text")
        structured = result.structured_content or {}
        size = f"{len(text):,} characters of text"
        if structured:
            size += f" · {len(json.dumps(structured, separators=(',', ':'))):,} of structured content"
        self.screen.answer(text, size=f"{size} · {milliseconds:,.0f} ms", failed=bool(result.is_error))
        if bool(result.is_error) != refused:
            self.unexpected.append(f"{tool}: {text[:200]}")
        return structured


async def tell(screen: Screen) -> int:
    """Start a server with a throwaway data directory, hold the conversation, print the snippets."""
    with tempfile.TemporaryDirectory(prefix="positions-mcp-demo-") as folder:
        server = StdioServerParameters(
            command=executable(),
            args=["serve", "--scenario", "demo"],
            env={"POSITIONS_MCP_DATA_DIR": str(Path(folder) / "data"), "POSITIONS_MCP_MODE": "paper"},
        )
        screen.title("positions-mcp demo: an assistant's questions, answered by a real MCP server")
        screen.note(
            "No key, no network, no money: the server runs on the embedded paper exchange, behind the same HTTP client "
            "that talks to Clear Street. Not affiliated with Clear Street; nothing here is advice."
        )
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            screen.note(
                f"Server: positions-mcp {__version__} over stdio, MCP {client.protocol_version}, {len(tools)} tools."
            )
            conversation = Conversation(client, screen)
            await _read(conversation)
        _show_snippets(screen)
    for step in conversation.unexpected:
        screen.answer(f"Not as it should be: {step}", size="the demo failed", failed=True)
    return 1 if conversation.unexpected else 0


async def _read(conversation: Conversation) -> None:
    await conversation.ask("What do I hold?", "list_positions")
    await conversation.ask(
        "What moved today?",
        "list_positions",
        {"sort_by": "DAILY_UNREALIZED_PNL", "sort_direction": "DESC", "limit": 5},
    )
    await conversation.ask("Everything on AAPL, with its options.", "list_positions", {"underlying": "AAPL"})
    await conversation.ask("How do I stand, and what expires this week?", "summarize_positions", {"group_by": "expiry"})
    await conversation.ask("My exercise instructions?", "list_instructions")
    await conversation.ask("Where am I, and what may be sent?", "get_trading_status")


def _show_snippets(screen: Screen) -> None:
    screen.title("Use it from your assistant")
    for place, text in snippets().items():
        screen.note(place)
        screen.verbatim(text)
        print()
