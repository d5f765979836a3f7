"""`positions-mcp serve`: the MCP server over standard input and output, or over HTTP on this machine.

Standard output belongs to the protocol; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

import anyio

from positions_mcp.cli.composition import Venue, open_deps, open_venue, warm_up
from positions_mcp.cli.garbage import without_collecting_garbage
from positions_mcp.cli.options import add_settings_options, settings_from, whole_number
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp serve`."""
    add_settings_options(parser)
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio", help="stdio is the default")
    parser.add_argument("--host", metavar="ADDRESS", help="with http: this machine's own address (127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=whole_number, help="with http: 8420 if omitted, 0 for a free one")
    parser.add_argument("--record", metavar="FILE", type=Path, help="keep what the API answers, for `paper replay`")


def run(arguments: argparse.Namespace) -> int:
    """Serve until the client ends the conversation or the process is told to stop. Returns the exit code."""
    settings = settings_from(arguments)
    log_to_stderr()
    if arguments.transport == "http":
        from positions_mcp.cli.serve_http import serve_http

        return serve_http(settings, host=arguments.host, port=arguments.port, record=arguments.record)
    if arguments.host is not None or arguments.port is not None:
        raise ConfigurationError("--host and --port are for HTTP.", hint="Add --transport http, or leave them out.")
    with open_venue(settings, record=arguments.record) as venue:
        anyio.run(_serve, settings, venue)
    return 0


def log_to_stderr() -> None:
    """Warnings to standard error, and no line for every request."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


async def _serve(settings: Settings, venue: Venue) -> None:
    told_to_stop = False

    def leave_when_told() -> None:
        if told_to_stop:
            # Everything is drained and closed, but the thread that reads standard input cannot be cancelled.
            logging.shutdown()
            os._exit(0)

    with without_collecting_garbage():
        from positions_mcp.server import build_server

        server = build_server(
            partial(open_deps, settings, venue),
            mode=settings.mode,
            accounts=settings.allowed_accounts,
            warm_up=warm_up,
            at_end=leave_when_told,
        )
    async with anyio.create_task_group() as tasks:

        async def stop_when_told() -> None:
            nonlocal told_to_stop
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    told_to_stop = True
                    tasks.cancel_scope.cancel()

        tasks.start_soon(stop_when_told)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()
