"""A bounded number of requests is under way at once, and what a person approved never waits for what is read (G-23)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from api.loopback import AAPL, ACCOUNT, Loopback, Received, Reply, Script, data, order, position, serving
from positions_mcp.domain.errors import NothingSent, ReadFailed, Sent

pytestmark = pytest.mark.requirement("G-23")


@dataclass
class Gate:
    """An API that answers nothing before it is opened, and counts what it has at once."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    most: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    def decide(self, request: Received) -> Reply:
        writes = request.method != "GET"

        async def reply(writer: asyncio.StreamWriter) -> None:
            self.at_once[writes] += 1
            self.most[writes] = max(self.most[writes], self.at_once[writes])
            await self.opened.wait()
            self.at_once[writes] -= 1
            await data([order()] if writes else [position()])(writer)

        return reply


@asynccontextmanager
async def gated(**options: Any) -> AsyncIterator[tuple[Gate, Loopback, Any]]:
    gate = Gate()
    async with serving(Script(gate.decide)) as server, server.client(max_requests=2, **options) as client:
        yield gate, server, client


async def until_it_has(server: Loopback, *, reads: int, writes: int) -> None:
    """Wait for so many requests to have arrived. There are no more of them."""
    with anyio.fail_after(10):
        while len(server.writes) < writes or len(server.requests) < reads + writes:
            await checkpoint()
    await anyio.wait_all_tasks_blocked()
    assert (len(server.requests) - len(server.writes), len(server.writes)) == (reads, writes)


async def test_no_more_reads_are_under_way_than_may_be_and_all_are_answered() -> None:
    pages: list[Any] = []

    async def read(client: Any) -> None:
        pages.append(await client.get_positions(ACCOUNT))

    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(read, client)
        await until_it_has(server, reads=2, writes=0)
        gate.opened.set()
    assert (len(pages), gate.most[False]) == (9, 2)


async def test_a_write_goes_out_at_once_however_many_reads_wait() -> None:
    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client.get_positions, ACCOUNT)
        await until_it_has(server, reads=2, writes=0)
        tasks.start_soon(client.close_position, ACCOUNT, AAPL)
        await until_it_has(server, reads=2, writes=1)
        gate.opened.set()
    assert gate.most == {False: 2, True: 1}


async def test_a_read_goes_out_at_once_however_many_writes_wait() -> None:
    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(client.close_position, ACCOUNT, AAPL)
        await until_it_has(server, reads=0, writes=2)
        tasks.start_soon(client.get_positions, ACCOUNT)
        await until_it_has(server, reads=1, writes=2)
        gate.opened.set()
    assert gate.most == {False: 1, True: 2}
    assert len(server.writes) == 5


async def test_what_has_waited_too_long_for_its_turn_says_so_and_has_sent_nothing() -> None:
    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.get_positions, ACCOUNT)
            tasks.start_soon(client.close_position, ACCOUNT, AAPL)
        await until_it_has(server, reads=2, writes=2)
        with pytest.raises(ReadFailed, match="other requests of this program took more than"):
            await client.get_positions(ACCOUNT, timeout_s=0.05)
        with pytest.raises(NothingSent, match="other requests of this program took more than") as write:
            await client.close_position(ACCOUNT, AAPL, timeout_s=0.05)
        assert write.value.sent is Sent.NO
        gate.opened.set()
    assert len(server.requests) == 4


async def test_where_no_time_is_left_nobody_else_is_said_to_have_taken_it() -> None:
    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.get_positions, ACCOUNT)
        await until_it_has(server, reads=2, writes=0)
        with pytest.raises(ReadFailed, match="no time was left for it"):
            await client.get_positions(ACCOUNT, timeout_s=0)
        gate.opened.set()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ReadFailed, match="no time was left for it"):
            await client.get_positions(ACCOUNT, timeout_s=0)


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    async with gated() as (gate, server, client), anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.get_positions, ACCOUNT)
        await until_it_has(server, reads=2, writes=0)
        async with anyio.create_task_group() as waiting:
            for _ in range(3):
                waiting.start_soon(client.get_positions, ACCOUNT)
            await anyio.wait_all_tasks_blocked()
            waiting.cancel_scope.cancel()
        gate.opened.set()
        assert len((await client.get_positions(ACCOUNT)).data) == 1
        assert len((await client.get_positions(ACCOUNT)).data) == 1
        assert len(server.requests) == 4
