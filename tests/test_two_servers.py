"""Two servers, each a process of its own, over one store: a plan is sent once, and neither says that it was not."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

from data_dirs import CLEAN, in_session
from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.settings import load
from tools.serving import data_of, text_of
from trading import ERAS, PASSPHRASE, QUICK, Person

KO = {"instruments": ["KO"]}
SECOND_ANSWERS = {"KO": "yes", "AMZN": "decline", "XOM": "cancel", "TSLA": "yes at once"}
"""What the second of two persons answers, each about another position."""


@asynccontextmanager
async def serving(data_dir: Path, era: str, person: Person | None = None, **said: str) -> AsyncIterator[Client]:
    """A client of a server that has only just started."""
    environment = {**CLEAN, "POSITIONS_MCP_DATA_DIR": str(data_dir), "POSITIONS_MCP_DESK__ENABLED": "false", **said}
    server = StdioServerParameters(command=sys.executable, args=["-m", "positions_mcp", "serve"], env=environment)
    async with Client(server, mode=era, elicitation_callback=person) as client:
        yield client


def says_what_became(answer: CallToolResult) -> dict[str, Any]:
    """The answer as data, which does not say that nothing was sent."""
    assert "othing was sent" not in text_of(answer)
    data = data_of(answer)
    assert data["sent"] == "yes"
    assert data["state"] in ("SUBMITTED", "CLOSED")
    return data


@pytest.mark.requirement("G-02", "G-06")
@pytest.mark.parametrize("era", ERAS)
async def test_of_two_forms_about_one_plan_one_sends_and_the_other_says_so(era: str, tmp_path: Path) -> None:
    first, second = Person(), Person()
    with in_session(tmp_path) as exchange:
        async with serving(tmp_path, era, first) as one, serving(tmp_path, era, second) as other:
            for number, (symbol, answer) in enumerate(SECOND_ANSWERS.items(), start=1):
                first.questions, second.questions = [], []
                second.action = "accept" if answer.startswith("yes") else cast("Literal['decline', 'cancel']", answer)
                second.content = first.content if second.action == "accept" else None
                told = await both_asked(
                    {"instruments": [symbol]}, (first, one), (second, other), answer == "yes at once"
                )
                assert exchange.effect_counts() == {"close_position": number}, answer
                assert told[0]["operation_id"] == told[1]["operation_id"], answer
                assert first.questions == second.questions, answer


async def both_asked(
    what: dict[str, Any], first: tuple[Person, Client], second: tuple[Person, Client], at_once: bool
) -> list[dict[str, Any]]:
    """What is said to two callers who are asked about the same plan; the second answers once it is sent, or at once."""
    asked, sent = (anyio.Event(), anyio.Event()), anyio.Event()
    answers: dict[str, CallToolResult] = {}

    async def think_first() -> None:
        asked[0].set()
        await asked[1].wait()

    async def think_second() -> None:
        asked[1].set()
        await (asked[0] if at_once else sent).wait()

    async def close(name: str, client: Client) -> None:
        answers[name] = await client.call_tool("close_positions", what)
        sent.set()

    first[0].meanwhile, second[0].meanwhile = think_first, think_second
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close, "first", first[1])
            tasks.start_soon(close, "second", second[1])
    return [says_what_became(answers[name]) for name in ("first", "second")]


@pytest.mark.requirement("G-06", "G-19")
async def test_of_two_calls_that_wait_for_the_desk_one_sends_and_both_say_so(tmp_path: Path) -> None:
    settings = load({"mode": "paper", "data_dir": tmp_path})
    waiting, answers = [anyio.Event(), anyio.Event()], list[CallToolResult]()
    with in_session(tmp_path) as exchange, open_venue(settings) as venue, open_operations(settings) as store:
        async with venue.connect() as client:
            desk = Supervisor(guard_dependencies(settings, client, venue.clock, store), hardness=QUICK)
            await desk.set_up_approver(PASSPHRASE)
            by_desk = {"POSITIONS_MCP_APPROVAL__CHANNEL": "desk"}
            async with serving(tmp_path, ERAS[0], **by_desk) as one, serving(tmp_path, ERAS[0], **by_desk) as other:

                async def close(server: Client, waits: anyio.Event) -> None:
                    async def hears(_: float, __: float | None, message: str | None) -> None:
                        if message and "approve op-" in message:
                            waits.set()

                    answers.append(await server.call_tool("close_positions", KO, progress_callback=hears))

                with anyio.fail_after(60):
                    async with anyio.create_task_group() as tasks:
                        for server, waits in zip((one, other), waiting, strict=True):
                            tasks.start_soon(close, server, waits)
                        for waits in waiting:
                            await waits.wait()
                        await desk.approve(store.operations()[0].operation_id, PASSPHRASE)
        assert exchange.effect_counts() == {"close_position": 1}
    assert len({says_what_became(answer)["operation_id"] for answer in answers}) == 1
