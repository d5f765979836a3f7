"""The server of the supervisor's page ends the same waits, and its flood ends nobody's request (G-23)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from guard.desk import desk
from over_http.wire import Place, Seconds
from positions_mcp.cli.serving.connections import Connections, Limits, Phase
from positions_mcp.cli.serving.desk_host import desk_origins
from positions_mcp.cli.serving.listening import desk_sockets, serve_page
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk

pytestmark = pytest.mark.requirement("G-23")


@asynccontextmanager
async def page(data_dir: Path) -> AsyncIterator[Place]:
    """The page of a desk, served on sockets of its own."""
    seconds = Seconds()
    connections = Connections(now=seconds)
    with desk_sockets(0) as (sockets, port):
        sockets[0].listen()  # so that it can be reached from here on
        async with desk(data_dir) as guarded, anyio.create_task_group() as tasks, AsyncExitStack() as stack:
            app = desk_app(Desk(guarded.parts), origins=desk_origins(port))
            tasks.start_soon(serve_page, app, sockets, connections)
            yield Place(("127.0.0.1", port), connections, seconds, stack)
            tasks.cancel_scope.cancel()


def shell(place: Place) -> str:
    return "GET / HTTP/1.1\r\nHost: {}:{}\r\n\r\n".format(*place.address)


async def test_of_two_origins_neither_counts(tmp_path: Path) -> None:
    async with page(tmp_path) as place:
        own = "Origin: http://{}:{}\r\n".format(*place.address)
        for both in (own + "Origin: https://evil.example\r\n", own + own):
            begun = "POST /api/session HTTP/1.1\r\nHost: {}:{}\r\n".format(*place.address) + both
            asked = await place.saying(begun + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            assert (await asked.answer()).startswith(b"HTTP/1.1 400")


async def test_a_flood_keeps_no_browser_out(tmp_path: Path) -> None:
    async with page(tmp_path) as place:
        for _ in range(300):
            await place.saying("GET / HTTP/1.1\r\n")
        assert (await (await place.saying(shell(place))).answer()).startswith(b"HTTP/1.1 200")
        assert len(place.phases()) <= Limits().of_an_address


async def test_nobody_is_waited_for_without_end(tmp_path: Path) -> None:
    async with page(tmp_path) as place:
        head = await place.saying("GET / HTTP/1.1\r\n")
        await place.sees(Phase.REQUEST)
        place.passes(10)
        assert (await head.hears())[:12] in (b"", b"HTTP/1.1 408")
        begun = "POST /api/session HTTP/1.1\r\nHost: {0}:{1}\r\nOrigin: http://{0}:{1}\r\n".format(*place.address)
        body = await place.saying(begun + "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        await place.sees(Phase.BODY)
        place.passes(20)
        assert (await body.hears()).startswith(b"HTTP/1.1 408")


async def test_small_answers_are_sent_at_once(tmp_path: Path) -> None:
    async with page(tmp_path) as place:
        await place.connect()
        [connection] = await place.sees(Phase.REQUEST)
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
