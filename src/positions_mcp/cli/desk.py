"""`positions-mcp desk`: the supervisor's page alone, for whatever waits in this store."""

from __future__ import annotations

import argparse
import socket
import sys
import webbrowser
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import anyio
from starlette.types import ASGIApp

from positions_mcp.cli.assembly.composition import open_desk, open_venue
from positions_mcp.cli.commands import NAMED
from positions_mcp.cli.options import add_log_option, add_settings_options, port, settings_from
from positions_mcp.cli.serving.connections import connections_for
from positions_mcp.cli.serving.desk_host import desk_origins
from positions_mcp.cli.serving.entrance import Entrance, add_entrance_options, entrance_of, listening_socket
from positions_mcp.cli.serving.listening import desk_sockets, serve_page
from positions_mcp.cli.serving.replica import replica_of
from positions_mcp.door.proxies import Proxies
from positions_mcp.operating.logs import log_to_stderr
from positions_mcp.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve the supervisor's page: what waits, decisions, halt, resume, settle."
    add_settings_options(parser)
    add_entrance_options(parser)
    add_log_option(parser)
    parser.add_argument("--port", type=port, metavar="N", help="8421 if omitted, or the next free one")
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    log_to_stderr(arguments.log_format or settings.log.format)
    entrance = entrance_of(arguments).for_approvers(settings)
    first = settings.desk.port if arguments.port is None else arguments.port
    anyio.run(_serve, settings, entrance, first, arguments.open)
    return 0


@contextmanager
def _sockets(entrance: Entrance, port: int) -> Iterator[tuple[Sequence[socket.socket], Collection[str]]]:
    """Where it listens, and by which addresses it goes; the first of them is the one to use."""
    if entrance.public_url is None:
        with desk_sockets(port) as (sockets, taken):
            yield sockets, desk_origins(taken)
        return
    with listening_socket(entrance.address, port) as listener:
        listener.listen()
        yield [listener], [entrance.public_url]


async def _serve(settings: Settings, entrance: Entrance, port: int, open_browser: bool) -> None:
    from positions_mcp.desk.app import desk_app

    with open_venue(settings) as venue, _sockets(entrance, port) as (sockets, origins), replica_of(settings) as replica:
        named = NAMED if entrance.public_url else None
        async with open_desk(settings, venue, command=named) as desk, anyio.create_task_group() as tasks:
            await tasks.start(replica.stopped_when_told, tasks.cancel_scope.cancel)
            url = next(iter(origins))
            print(f"{settings.mode.shown} desk at {url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
            tasks.start_soon(desk.heartbeat.keep_saying, url)
            if open_browser:
                await anyio.to_thread.run_sync(webbrowser.open, url)
            page = cast("ASGIApp", desk_app(desk, origins=origins))
            app = replica.outside(Proxies(page, entrance.proxies) if entrance.proxies else page)
            connections = connections_for(behind_a_proxy=bool(entrance.proxies))
            await serve_page(app, sockets, connections, entrance.certificate)
