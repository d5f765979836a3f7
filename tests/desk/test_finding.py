"""Servers find the page that is there, and a page knows which servers are."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from desk.pages import on_a_desk, page_over
from guard.desk import PASSPHRASE, POLICY, Desk
from positions_mcp.cli.serving.desk_host import DeskHost
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import ALIVE_FOR, Server, pages_of
from positions_mcp.guard.sending.heartbeat import Heartbeat

HERE = "desk:1:boot"


def said(it: Desk, *, seconds_ago: float = 0, process: str = HERE, sends: bool = True, **more: Any) -> None:
    """A server has said that it is alive."""
    now = it.clock.now()
    until = now + ALIVE_FOR - timedelta(seconds=seconds_ago)
    accounts = tuple(POLICY.accounts)
    it.store.announce(
        Server(process=process, mode=Mode.PAPER, accounts=accounts, sends=sends, until=until, **more), now
    )


@on_a_desk
async def test_a_page_that_runs_alone_is_found_by_a_server_until_it_ends(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as page:
        url = f"http://127.0.0.1:{page.getsockname()[1]}"
        async with anyio.create_task_group() as tasks:
            host = DeskHost(0)
            host.attach(desk.parts, tasks)
            is_said = anyio.Event()

            async def say_no_more(_: float) -> None:
                is_said.set()
                await anyio.sleep_forever()

            heartbeat = Heartbeat(replace(desk.parts, sleep=say_no_more), sends=False)
            tasks.start_soon(heartbeat.keep_saying, url)
            await is_said.wait()
            assert await host.open() == url
            assert host.own_url is None
            tasks.cancel_scope.cancel()
    assert desk.store.servers(desk.clock.now()) == ()


@on_a_desk
async def test_where_the_page_that_was_named_is_gone_a_server_opens_its_own(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    said(desk, desk_url=url, process=desk.parts.process)
    async with anyio.create_task_group() as tasks:
        host = DeskHost(0)
        host.attach(desk.parts, tasks)
        assert await host.open() == host.own_url
        assert host.own_url not in (None, url)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("process", "found"),
    [("desk:2:boot", True), ("elsewhere:1:boot", False), ("desk:1:reboot", False)],
    ids=["the same machine", "another machine", "before a restart of the machine"],
)
def test_a_page_is_reached_from_its_own_machine_only(process: str, *, found: bool) -> None:
    server = Server(
        process=process,
        mode=Mode.PAPER,
        accounts=(),
        sends=True,
        desk_url="http://localhost:8421",
        until="2026-11-27T12:00:00Z",
    )
    assert list(pages_of([server], HERE)) == (["http://localhost:8421"] if found else [])


@on_a_desk
async def test_a_card_says_that_a_server_that_would_send_it_has_other_limits(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    mine = desk.parts.policy.fingerprint
    said(desk, policy=mine)
    said(desk, process="a page:1:boot", sends=False, policy="another page's")
    said(desk, process="earlier:1:boot")
    async with page_over(desk) as page:
        await page.sign_in(PASSPHRASE)
        assert (await page.read(f"/api/operations/{operation.operation_id}"))["not_known"] == []
        said(desk, process="replica:1:boot", policy="0" * 12)
        (known,) = (await page.read(f"/api/operations/{operation.operation_id}"))["not_known"]
    assert f"are policy {mine}, 1 of 3 servers that could send it have other ones." in known


@pytest.mark.parametrize(("seconds_ago", "silent_s"), [(0, 0), (12, 0), (17, 17), (29, 29)])
@on_a_desk
async def test_a_page_says_when_the_server_that_would_send_was_last_heard_of(
    desk: Desk, *, seconds_ago: int, silent_s: int
) -> None:
    operation = await desk.asked("AAPL")
    said(desk, seconds_ago=seconds_ago)
    said(desk, process="a page:1:boot", sends=False)
    async with page_over(desk) as page:
        await page.sign_in(PASSPHRASE)
        story = await page.read(f"/api/operations/{operation.operation_id}")
        assert (story["sender_alive"], story["sender_silent_s"]) == (True, silent_s)
        servers = (await page.read("/api/state"))["servers"]
        assert {each["process"]: each["silent_s"] for each in servers} == {HERE: silent_s, "a page:1:boot": 0}
