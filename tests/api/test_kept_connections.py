"""Reads share connections that are kept; one that may not be clean is never used again, and a write has its own."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from api.loopback import AAPL, ACCOUNT, Received, Reply, Script, data, position, serving, silence
from positions_mcp.api import OutcomeUnknown, _direct
from positions_mcp.domain.errors import ReadFailed


async def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again():
    async def closing(writer) -> None:
        await data([])(writer)
        writer.close()

    async with serving(closing, data([position()])) as server, server.client(random=lambda: 1e9) as client:
        await client.get_positions(ACCOUNT)
        await anyio.wait_all_tasks_blocked()
        assert len((await client.get_positions(ACCOUNT)).data) == 1
    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch):
    async with serving(data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        monkeypatch.setattr(_direct, "_KEPT_S", -1.0)
        await client.get_positions(ACCOUNT)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.requirement("A-03")
async def test_an_answer_that_came_too_late_is_never_taken_for_that_of_the_next_request():
    let_go = asyncio.Event()

    async def late(writer) -> None:
        await let_go.wait()
        await data([position(symbol="LATE")])(writer)

    async with (
        serving(data([]), late, data([position(symbol="NEXT")])) as server,
        server.client(random=lambda: 1e9) as client,
    ):
        await client.get_positions(ACCOUNT)
        with pytest.raises(ReadFailed):
            await client.get_positions(ACCOUNT, timeout_s=0.05)
        let_go.set()
        assert (await client.get_positions(ACCOUNT, timeout_s=5)).data[0].symbol == "NEXT"
    assert [request.connection for request in server.requests] == [1, 1, 2]


@pytest.mark.requirement("A-03")
async def test_what_was_sent_unasked_on_a_kept_connection_is_read_by_nobody():
    async def and_more(writer) -> None:
        await data([])(writer)
        await data([position(symbol="UNASKED")])(writer)

    async with serving(and_more, data([position(symbol="ASKED")])) as server, server.client() as client:
        assert (await client.get_positions(ACCOUNT)).data == []
        await anyio.wait_all_tasks_blocked()
        assert (await client.get_positions(ACCOUNT)).data[0].symbol == "ASKED"
    assert server.connections == 2


async def test_many_reads_at_once_keep_few_connections_and_get_their_own_answers():
    @Script
    def named(received: Received) -> Reply:
        return data([position(account_id=int(received.path.split("/")[3]))])

    found: list[int] = []

    async def read(account: int) -> None:
        page = await client.get_positions(account)
        assert {each.account_id for each in page.data} == {account}
        found.append(account)

    async with serving(named) as server, server.client(max_requests=64) as client:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for account in range(1, 61):
                    tasks.start_soon(read, account)
        assert len(found) == 120
        assert server.connections <= 60 + 60 - 20


@pytest.mark.requirement("A-03")
async def test_a_cancelled_write_closes_its_connection_and_is_not_repeated():
    async with serving(silence) as server, server.client() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.close_position, ACCOUNT, AAPL, False)
            await server.arrived.wait()
            tasks.cancel_scope.cancel()
        with pytest.raises(OutcomeUnknown):
            await client.close_position(ACCOUNT, AAPL, False, timeout_s=0.05)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.requirement("A-03")
async def test_a_cancelled_read_closes_its_connection():
    async with serving(data([]), silence, data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        server.arrived = asyncio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get_positions, ACCOUNT)
            await server.arrived.wait()
            tasks.cancel_scope.cancel()
        await client.get_positions(ACCOUNT)
    assert [request.connection for request in server.requests] == [1, 1, 2]
