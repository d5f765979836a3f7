"""`positions-mcp serve` as a process of its own: closes over stdio, and how it ends in the middle of one."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from mcp import Client, StdioServerParameters

from data_dirs import CLEAN, in_session
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState
from positions_mcp.store import DEFAULT_FILE, open_store
from tools.serving import data_of, text_of
from trading import ERAS, HOLDINGS, yes

ARGUMENTS = ["-m", "positions_mcp", "serve", "--data-dir"]
YES = {"action": "accept", "content": {"approve": True}}


@pytest.mark.requirement("G-01", "G-14")
@pytest.mark.parametrize("era", ERAS)
async def test_a_close_over_stdio_is_asked_about_sent_once_and_followed(era: str, tmp_path: Path) -> None:
    server = StdioServerParameters(command=sys.executable, args=[*ARGUMENTS, str(tmp_path)], env=CLEAN)
    person = yes()
    with in_session(tmp_path) as exchange:
        async with Client(server, mode=era, elicitation_callback=person) as client:
            planned = data_of(await client.call_tool("preview_close", {"instruments": ["KO"]}))
            sent = await client.call_tool("close_positions", {"plan_id": planned["plan_id"]})
            assert "1 submitted" in text_of(sent)
            exchange.clock.advance(timedelta(minutes=1))
            followed = await client.call_tool("get_operation", {"operation_id": planned["plan_id"], "wait_s": 5})
            assert data_of(followed)["state"] == "CLOSED"
        assert exchange.effect_counts() == {"close_position": 1}
    assert len(person.questions) == 1


@dataclass
class RawClient:
    """A legacy client that speaks JSON-RPC line by line, so that it can leave as rudely as it likes."""

    process: Process
    numbers: list[int] = field(default_factory=list)
    _read: bytes = b""

    async def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def receive(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is wanted; others are dropped."""
        assert self.process.stdout is not None
        while True:
            while b"\n" not in self._read:
                self._read += await self.process.stdout.receive()
            line, _, self._read = self._read.partition(b"\n")
            message: dict[str, Any] = json.loads(line)
            if wanted(message):
                return message

    async def approve_a_close_of_three(self) -> None:
        """From the first word to the person's yes."""
        told = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        await self.send({"id": 1, "method": "initialize", "params": told})
        await self.receive(lambda message: message.get("id") == 1)
        await self.send({"method": "notifications/initialized"})
        arguments = {"name": "close_positions", "arguments": {"instruments": list(HOLDINGS)}}
        await self.send({"id": 2, "method": "tools/call", "params": arguments})
        question = await self.receive(lambda message: message.get("method") == "elicitation/create")
        await self.send({"id": question["id"], "result": YES})


@asynccontextmanager
async def in_the_middle_of_a_batch(data_dir: Path) -> AsyncIterator[RawClient]:
    """The exchange has had the effect of the first of three requests, and takes its time to answer."""
    with anyio.fail_after(30):
        with in_session(data_dir) as exchange:
            exchange.arm("delay", "close_position", seconds=1)
            command = [sys.executable, *ARGUMENTS, str(data_dir)]
            async with await anyio.open_process(command, env=CLEAN, stderr=None) as process:
                client = RawClient(process)
                await client.approve_a_close_of_three()
                while not exchange.effects():  # noqa: ASYNC110 — another process cannot be waited for otherwise
                    await anyio.sleep(0.02)
                yield client
            assert exchange.effect_counts() == {"close_position": 1}


def operation_in(data_dir: Path) -> Operation:
    store = open_store(data_dir / DEFAULT_FILE)
    try:
        return store.operations()[0]
    finally:
        store.close()


def states_of(operation: Operation) -> list[RowState]:
    return [row.state for row in operation.rows]


@pytest.mark.requirement("G-07")
@pytest.mark.parametrize("way", ["end of input", "SIGTERM"])
async def test_an_ending_server_finishes_the_request_in_flight_and_sends_no_other(way: str, tmp_path: Path) -> None:
    async with in_the_middle_of_a_batch(tmp_path) as client:
        began = anyio.current_time()
        if way == "end of input":
            assert client.process.stdin is not None
            await client.process.stdin.aclose()
        else:
            client.process.send_signal(getattr(signal, way))
        assert await client.process.wait() == 0
        assert anyio.current_time() - began < 4
    operation = operation_in(tmp_path)
    assert states_of(operation) == [RowState.SUBMITTED, RowState.NOT_SENT, RowState.NOT_SENT]
    assert operation.rows[1].detail == "The server was shut down before it was sent."


@pytest.mark.requirement("G-04", "G-07")
async def test_a_server_that_is_killed_leaves_a_row_that_is_found_as_sending(tmp_path: Path) -> None:
    async with in_the_middle_of_a_batch(tmp_path) as client:
        client.process.kill()
        await client.process.wait()
    assert states_of(operation_in(tmp_path)) == [RowState.SENDING, RowState.NOT_SENT, RowState.NOT_SENT]
