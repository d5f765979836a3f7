"""What happens in the demo: conversations with real servers, each step through the MCP SDK's own client over stdio."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from mcp import Client, StdioServerParameters

from positions_mcp import __version__
from positions_mcp.cli.commands import program
from positions_mcp.cli.demo.conversation import Conversation, Transcript
from positions_mcp.cli.demo.exchange import Exchange
from positions_mcp.cli.demo.scenes import decline_everything, expiry_afternoon, trade
from positions_mcp.cli.demo.screen import Screen
from positions_mcp.cli.demo.supervisor import Supervisor
from positions_mcp.cli.install.command import NAME, Launch, program_words
from positions_mcp.cli.install.hosts import host_named
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.market_calendar import NewYorkCalendar

PROGRAM = (sys.executable, "-m", "positions_mcp")
"""What starts this program, in its own environment."""
_INTO_THE_SESSION = timedelta(minutes=75)
_TO_SET_OUT = timedelta(minutes=10)
"""Time enough to begin a book, however slow the machine."""


async def tell(screen: Screen, transcript: Transcript) -> int:
    """Start servers with throwaway data, hold the conversations, print what a host takes. Returns the exit code."""
    screen.title("positions-mcp demo: an assistant's questions, answered by a real MCP server")
    screen.note(
        "No key, no network, no money: the server runs on the embedded paper exchange, behind the same HTTP client "
        "that talks to Clear Street. Not affiliated with Clear Street; nothing here is advice."
    )
    async with conversing(screen, transcript, scenario="demo", clock=trading_hours()) as conversation:
        await _read(conversation)
        screen.title("Closing under supervision")
        screen.note(conversation.supervisor.introduction)
        await trade(conversation)
        unexpected = conversation.unexpected
    screen.title("An expiration day, in another account")
    async with conversing(screen, transcript, scenario="expiry") as conversation:
        await expiry_afternoon(conversation)
        await decline_everything(conversation)
        unexpected += conversation.unexpected
    _show_entries(screen)
    for step in unexpected:
        screen.failure(step)
    return 1 if unexpected else 0


@asynccontextmanager
async def conversing(
    screen: Screen, transcript: Transcript, *, scenario: str, clock: str | None = None
) -> AsyncIterator[Conversation]:
    """A server on a new paper book, and a client that talks to it. `clock` starts the book's own at that instant."""
    with tempfile.TemporaryDirectory(prefix="positions-mcp-demo-") as folder:
        exchange = Exchange(Path(folder) / "data")
        exchange.run("reset", "--scenario", scenario)
        if clock:
            exchange.run("clock", "set", clock, "--running")
        server = StdioServerParameters(
            command=PROGRAM[0],
            args=[*PROGRAM[1:], "serve"],
            env={"POSITIONS_MCP_DATA_DIR": str(exchange.data_dir), "POSITIONS_MCP_MODE": "paper"},
        )
        supervisor = Supervisor(screen)
        async with Client(server, elicitation_callback=supervisor.answer) as client:
            tools = (await client.list_tools()).tools
            screen.note(
                f"Server: positions-mcp {__version__} over stdio, MCP {client.protocol_version}, {len(tools)} tools."
            )
            yield Conversation(client, screen, supervisor, exchange, transcript)


def trading_hours(now: datetime | None = None) -> str:
    """An instant in a session to come, so that the market is open whenever the demo is run.

    Of today's only where it lies ahead: a book that was begun a moment ago goes no way back.
    """
    now, calendar = now or SystemClock().now(), NewYorkCalendar()
    day = new_york_day(now)
    session = calendar.next_session(day)
    if session.opens + _INTO_THE_SESSION < now + _TO_SET_OUT:
        session = calendar.next_session(day + timedelta(days=1))
    return (session.opens + _INTO_THE_SESSION).isoformat()


async def _read(conversation: Conversation) -> None:
    await conversation.ask("What do I hold?", "list_positions")
    await conversation.ask(
        "What moved today?", "list_positions", {"sort_by": "DAY_PNL", "sort_direction": "DESC", "limit": 5}
    )
    await conversation.ask("Everything on AAPL, with its options.", "list_positions", {"underlying": "AAPL"})
    await conversation.ask("How do I stand, and what expires this week?", "summarize_positions", {"group_by": "expiry"})
    await conversation.ask("My exercise instructions?", "list_instructions")
    await conversation.ask("Where am I, and what may be sent?", "get_trading_status")


def _show_entries(screen: Screen) -> None:
    screen.title("Use it from your assistant")
    command, *words = program_words(Path(sys.executable), os.environ)
    launch = Launch(command, [*words, "serve"])
    for host in map(host_named, ("claude-desktop", "claude-code", "vscode", "cursor")):
        if host:
            screen.note(f"{host.title}: `{program()} install {host.name}` writes this into its configuration")
            screen.verbatim(host.format.with_entry("", (host.container, NAME), host.entry(launch)))
