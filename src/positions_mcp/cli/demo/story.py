"""What happens in the demo: conversations with real servers, each step through the MCP SDK's own client over stdio.

Closes that are refused, supervised, lost and declined, and an expiration day with its batch.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from positions_mcp import __version__
from positions_mcp.cli.commands import program
from positions_mcp.cli.demo.conversation import Conversation, Exchange, Screen, Supervisor, Transcript
from positions_mcp.cli.install.hosts import NAME, Launch, host_named, program_words
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


async def trade(conversation: Conversation) -> None:
    """Three scenes, each through the tools an assistant has."""
    await _refuse_what_would_uncover(conversation)
    await _close_two(conversation)
    await _lose_an_answer(conversation)


async def _refuse_what_would_uncover(conversation: Conversation) -> None:
    answer = await conversation.ask("Sell my NVDA shares.", "preview_close", {"instruments": ["NVDA"]})
    conversation.expect(answer.get("policy") == "refused", "shares that cover a short call are not sold")


async def _close_two(conversation: Conversation) -> None:
    plan = await conversation.ask(
        "Then prepare to close KO and buy back the PLTR short.", "preview_close", {"instruments": ["KO", "PLTR"]}
    )
    report = await conversation.ask("Go ahead.", "close_positions", {"plan_id": plan.get("plan_id")}, approve=True)
    conversation.expect(report.get("sent") == "yes", "what the person approved is sent")
    conversation.screen.note(
        f"A minute later on the paper exchange: {conversation.exchange.run('clock', 'advance', '60s')}"
    )
    operation = {"operation_id": report.get("operation_id"), "wait_s": 0}
    followed = await conversation.ask("Is it done?", "get_operation", operation)
    conversation.expect(followed.get("state") == "CLOSED", "both positions are closed a minute later")


async def _lose_an_answer(conversation: Conversation) -> None:
    conversation.exchange.run("fault", "drop_after_effect", "close_position")
    conversation.screen.note(
        "Now a fault is armed on the exchange: the next close takes effect, and the connection drops before the answer."
    )
    report = await conversation.ask("Close JPM too.", "close_positions", {"instruments": ["JPM"]}, approve=True)
    conversation.expect(report.get("sent") != "no", "a lost answer is not told as nothing sent")
    conversation.exchange.run("clock", "advance", "60s")
    operation = {"operation_id": report.get("operation_id"), "wait_s": 0}
    followed = await conversation.ask("What became of it?", "get_operation", operation)
    conversation.expect(followed.get("state") == "RECONCILED", "the unknown outcome is reconciled from book and orders")
    counts = json.loads(conversation.exchange.run("effects"))["counts"]
    conversation.screen.note(f"The exchange's own count of what had an effect: {counts}.")
    conversation.expect(counts == {"close_position": 3}, "three approved closes had three effects")


async def decline_everything(conversation: Conversation) -> None:
    """The assistant panics; the person does not."""
    report = await conversation.ask("Sell everything!", "close_all_positions", {"cancel_orders": True})
    conversation.expect(report.get("sent") == "no", "nothing is sent when the person says no")


async def expiry_afternoon(conversation: Conversation) -> None:
    """Five contracts that expire today, on the scenario `expiry` with its clock at 14:30."""
    held = await conversation.ask("What expires today?", "list_positions", {"instrument_type": "OPTION"})
    contract = {_root(row[0]): row[0] for row in held.get("rows", [])}
    evening = await conversation.ask("What will tonight leave me with, if I do nothing?", "project_expiration")
    conversation.expect(bool(evening.get("underlyings")), "the evening is projected before anything is decided")
    listed = await conversation.ask("What is already instructed?", "list_instructions")
    await _try_what_cannot_be(conversation, contract)
    await _submit(conversation, contract)
    ids = {row[listed["columns"].index("key")]: row[0] for row in listed.get("rows", [])}
    await _cancel(conversation, ids.get("morning-2"), question="Take the MSFT do-not-exercise back.", ends="CANCELLED")
    await _cancel(conversation, ids.get("morning-3"), question="And the one on NVDA.", ends="CANCEL_FAILED")


async def _try_what_cannot_be(conversation: Conversation, contract: dict[str, str]) -> None:
    rows = [_row(contract.get("TSLA"), "EXERCISE", "2"), _row(contract.get("NVDA"), "EXERCISE", "4")]
    preview = await conversation.ask("Exercise TSLA and all of NVDA.", "preview_instructions", {"instructions": rows})
    conversation.expect(
        "plan_id" not in preview, "a short contract and one under instruction are caught in the preview"
    )


async def _submit(conversation: Conversation, contract: dict[str, str]) -> None:
    rows = [
        _row(contract.get("AAPL"), "EXERCISE", "5"),
        _row(contract.get("AMD"), "DO_NOT_EXERCISE", "10"),
        _row(contract.get("MSFT"), "EXERCISE", "1"),
    ]
    preview = await conversation.ask(
        "Then exercise AAPL, let AMD lapse, and exercise one more MSFT. What would that do?",
        "preview_instructions",
        {"instructions": rows},
    )
    report = await conversation.ask("Do it.", "submit_instructions", {"plan_id": preview.get("plan_id")}, approve=True)
    conversation.expect("2 of 3 sent" in report.get("summary", ""), "a batch that comes back in part is accounted for")
    conversation.screen.note(f"On the paper exchange: {conversation.exchange.run('clock', 'advance', '10s')}")
    operation = {"operation_id": report.get("operation_id")}
    followed = await conversation.ask("Has clearing taken them?", "get_operation", operation)
    less = "asked 5, accepted 3" in followed.get("summary", "")
    conversation.expect(less, "clearing's accepting fewer contracts than asked is said")


async def _cancel(conversation: Conversation, instruction: str | None, *, question: str, ends: str) -> None:
    report = await conversation.ask(question, "cancel_instruction", {"id": instruction}, approve=True)
    conversation.expect("not yet cancelled" in report.get("summary", ""), "a requested cancel is not called a cancel")
    operation = {"operation_id": report.get("operation_id"), "wait_s": 10}
    followed = await conversation.ask("Is it cancelled?", "get_operation", operation)
    states = [row[followed["columns"].index("state")] for row in followed.get("rows", [])]
    conversation.expect(states == [ends], f"the cancel ends as {ends}")


def _row(instrument: str | None, kind: str, quantity: str) -> dict[str, Any]:
    return {"instrument": instrument or "", "instruction_type": kind, "quantity": quantity}


def _root(symbol: str) -> str:
    return "".join(character for character in symbol[:6] if character.isalpha())
