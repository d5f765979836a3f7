"""`positions-mcp desk`: the supervisor's page alone, for whatever waits in this store."""

from __future__ import annotations

import argparse
import sys
import webbrowser

import anyio

from positions_mcp.cli.composition import open_desk, open_venue
from positions_mcp.cli.desk_host import desk_origins
from positions_mcp.cli.desk_server import desk_sockets, serve_page
from positions_mcp.cli.options import add_settings_options, settings_from
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp desk`."""
    parser.description = "Serve the supervisor's page on this machine: what waits, decisions, halt, resume, settle."
    add_settings_options(parser)
    parser.add_argument("--port", type=int, metavar="N", help="8421 if omitted, or the next free one")
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop. Returns the exit code."""
    settings = settings_from(arguments)
    anyio.run(_serve, settings, settings.desk.port if arguments.port is None else arguments.port, arguments.open)
    return 0


async def _serve(settings: Settings, port: int, open_browser: bool) -> None:
    from positions_mcp.desk.app import desk_app

    with open_venue(settings) as venue, desk_sockets(port) as (sockets, taken):
        async with open_desk(settings, venue) as desk, anyio.create_task_group() as tasks:

            async def stop_when_told() -> None:
                with this_platform().stop_signals() as signals:
                    async for _ in signals:
                        tasks.cancel_scope.cancel()

            tasks.start_soon(stop_when_told)
            origins = desk_origins(taken)
            url = next(iter(origins))
            print(
                f"{settings.mode.shown} desk at {url} (Ctrl-C ends it)",
                file=sys.stderr,
                flush=True,
            )
            tasks.start_soon(desk.presence.keep_saying, url)
            if open_browser:
                await anyio.to_thread.run_sync(webbrowser.open, url)
            await serve_page(desk_app(desk, origins=origins), sockets)
