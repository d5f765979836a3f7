"""A real server over stdio, an MCP client without forms, and a person in another terminal."""

from __future__ import annotations

import re
import sys

import anyio
import anyio.to_thread
import pytest
from anyio.abc import TaskGroup
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

from cli.person import PASSPHRASE, Place, Typing


def serving(place: Place) -> StdioServerParameters:
    environment = {"POSITIONS_MCP_DATA_DIR": str(place.data_dir)}
    return StdioServerParameters(command=sys.executable, args=["-m", "positions_mcp", "serve"], env=environment)


def approves(person: Typing) -> tuple[int, str]:
    person.answers("Passphrase to APPROVE", PASSPHRASE)
    return person.ends()


@pytest.mark.requirement("G-01", "G-11", "G-15")
async def test_a_server_sends_what_the_terminal_approves_and_nothing_once_a_person_has_halted_it(place: Place) -> None:
    answers: list[CallToolResult] = []

    async def close(client: Client, symbol: str, tasks: TaskGroup) -> str:
        """Ask the server to close it; answers the operation that the call then says it waits for."""
        waits_for: list[str] = []
        told = anyio.Event()

        async def on_progress(_: float, __: float | None, message: str | None) -> None:
            waits_for.extend(re.findall(r"op-[0-9a-z]{10}", message or ""))
            if waits_for:
                told.set()

        async def call() -> None:
            arguments = {"instruments": [symbol]}
            answers.append(await client.call_tool("close_positions", arguments, progress_callback=on_progress))

        tasks.start_soon(call)
        await told.wait()
        return waits_for[0]

    async with Client(serving(place)) as client:
        async with anyio.create_task_group() as tasks:
            with place.at_terminal("approve", await close(client, "JPM", tasks)) as person:
                code, shown = await anyio.to_thread.run_sync(approves, person)
        assert code == 0, shown
        async with anyio.create_task_group() as tasks:
            operation = await close(client, "KO", tasks)
            assert place.without_terminal("halt", "enough").returncode == 0
            with place.at_terminal("approve", operation) as person:
                code, shown = await anyio.to_thread.run_sync(approves, person)
        assert code == 1, shown
    said = [" ".join(block.text for block in answer.content if block.type == "text") for answer in answers]
    assert "1 submitted; 0 of 1 flat" in said[0]
    assert "REFUSED" in said[1]
    assert "Everything destructive is halted: 'enough'" in said[1]
    assert place.effects == {"close_position": 1}
