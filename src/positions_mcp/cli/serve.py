"""`positions-mcp serve`: the MCP server over standard input and output, or over HTTP.

Standard output belongs to the protocol; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.abc

from positions_mcp.cli import without_collecting_garbage
from positions_mcp.cli.assembly.composition import Venue, open_deps, open_venue
from positions_mcp.cli.options import add_log_option, add_settings_options, port, settings_from
from positions_mcp.cli.serving.entrance import add_entrance_options
from positions_mcp.cli.serving.event_loop import serve
from positions_mcp.cli.serving.first_answer import importing_what_answers_first, warm_up
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.operating.logs import log_to_stderr
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings

_OF_HTTP = ("host", "port", "tls_cert", "tls_key", "behind_proxy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings_options(parser)
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio", help="stdio is the default")
    add_entrance_options(parser, "with http: ")
    parser.add_argument("--port", metavar="N", type=port, help="with http: 8420 if omitted, 0 for a free one")
    add_log_option(parser)
    parser.add_argument("--record", metavar="FILE", type=Path, help="keep what the API answers, for `paper replay`")


def run(arguments: argparse.Namespace) -> int:
    """Serve until the client ends the conversation or the process is told to stop. Returns the exit code."""
    settings = settings_from(arguments)
    log_to_stderr(arguments.log_format or settings.log.format)
    if arguments.transport == "http":
        from positions_mcp.cli.serving.entrance import entrance_of
        from positions_mcp.cli.serving.over_http import serve_http

        entrance = entrance_of(arguments).for_callers(settings)
        return serve_http(settings, entrance, port=arguments.port, record=arguments.record)
    if given := [option for option in _OF_HTTP if getattr(arguments, option) not in (None, [])]:
        option = given[0].replace("_", "-")
        raise ConfigurationError(f"--{option} is for HTTP.", hint="Add --transport http, or leave it out.")
    with open_venue(settings, record=arguments.record) as venue:
        serve(_serve, settings, venue)
    return 0


def _tell_a_person(settings: Settings) -> None:
    """Somebody has typed the command that an assistant's host runs."""
    from positions_mcp.cli.commands import program
    from positions_mcp.cli.output import complain

    complain(
        f"{settings.mode.shown} MCP server: it waits for an MCP client's messages, not for typing. Ctrl-C ends it.\n"
        f"Hosts start it themselves: `{program()} install` sets one up. `{program()} demo` shows what it does."
    )


async def _serve(settings: Settings, venue: Venue) -> None:
    leaving = _Leaving()
    async with anyio.create_task_group() as tasks:

        async def stop_when_told(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with this_platform().stop_signals() as signals:
                task_status.started()
                async for _ in signals:
                    leaving.told()
                    tasks.cancel_scope.cancel()

        await tasks.start(stop_when_told)  # before the imports, which take the longest
        if sys.stdin.isatty():
            _tell_a_person(settings)
        with without_collecting_garbage(), importing_what_answers_first():
            from positions_mcp.server import build_server

            server = build_server(
                partial(open_deps, settings, venue),
                mode=settings.mode,
                accounts=settings.allowed_accounts,
                warm_up=partial(warm_up, live=settings.mode is Mode.LIVE),
                at_start=leaving.begun,
                at_end=leaving.ended,
            )
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


class _Leaving:
    """Ends the process that was told to stop, once nothing is open: the thread that reads standard input stays."""

    def __init__(self) -> None:
        self._told = False
        self._open = False

    def begun(self) -> None:
        self._open = True

    def ended(self) -> None:
        """Everything is drained and closed."""
        self._open = False
        self._leave_if_told()

    def told(self) -> None:
        self._told = True
        self._leave_if_told()

    def _leave_if_told(self) -> None:
        if self._told and not self._open:
            logging.shutdown()
            os._exit(0)
