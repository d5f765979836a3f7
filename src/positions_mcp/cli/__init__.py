"""The command line: `positions-mcp COMMAND`.

Each command is a module of its own, imported only when it is the one asked for, so that `serve` starts fast. It has
`add_arguments(parser)` and `run(arguments) -> exit code`. To add a command, write its module and a line in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from positions_mcp import __version__
from positions_mcp.domain.errors import ConfigurationError, PositionsError


@contextmanager
def without_collecting_garbage() -> Iterator[None]:
    """For a while in which what is made is there to stay; it is not looked through later either."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("positions_mcp.cli.serve", "run the MCP server over standard input and output, or HTTP on loopback"),
    "demo": ("positions_mcp.cli.demo", "watch an MCP client work with the server on the paper exchange"),
    "approver": ("positions_mcp.cli.approver", "choose the passphrase that approves, at a terminal"),
    "approve": ("positions_mcp.cli.approve", "show a plan and approve it with the passphrase, at a terminal"),
    "reject": ("positions_mcp.cli.reject", "say no to a plan"),
    "mandate": ("positions_mcp.cli.mandate", "sign in advance what is sent without a question; list, show, revoke"),
    "operations": ("positions_mcp.cli.operations", "list, show and settle operations, and verify their journal"),
    "flatten": ("positions_mcp.cli.flatten", "close what an account holds, yourself, at a terminal"),
    "token": ("positions_mcp.cli.tokens", "make, list and revoke the tokens of callers over HTTP"),
    "halt": ("positions_mcp.cli.halt", "stop everything destructive at once"),
    "resume": ("positions_mcp.cli.resume", "end a halt, at a terminal"),
    "doctor": ("positions_mcp.cli.doctor", "check the installation, configuration, store, approver and clock"),
    "desk": ("positions_mcp.cli.desk", "serve the supervisor's page on this machine"),
    "install": ("positions_mcp.cli.install", "put the server into the configuration of a host, such as claude-code"),
    "uninstall": ("positions_mcp.cli.uninstall", "take it out again"),
    "paper": ("positions_mcp.cli.paper", "run, reset and steer the paper exchange"),
    "completion": ("positions_mcp.cli.completion", "print what makes a shell complete these commands"),
}
"""Command → its module and one line of help."""
GROUPS = (["approver"], ["mandate"], ["operations"], ["paper"], ["token"])
"""What only has subcommands: alone it prints its help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 2 where the configuration or the usage is wrong.

    Without arguments, and for a command of which only its subcommands do anything, it prints help.
    """
    # Modules and large books are many objects without cycles: looking for some every 700 doubles the time to start.
    # A look at 50,000 young ones at once would keep every call waiting.
    gc.set_threshold(2_000, 2, 5_000)
    # A thread that works out an answer of a hundred thousand rows leaves the others a turn five times as often.
    sys.setswitchinterval(0.001)
    _print_what_can_be_printed()
    words = list(sys.argv[1:] if arguments is None else arguments)
    with without_collecting_garbage():
        parser = parser_of(next((word for word in words if not word.startswith("-")), ""))
        parsed = parser.parse_args([*words, "--help"] if words in GROUPS else words)
    if parsed.handler is None:
        parser.print_help()
        return 0
    try:
        code: int = parsed.handler(parsed)
    except PositionsError as error:
        from positions_mcp.cli.commands import completed_for
        from positions_mcp.cli.output import complain

        complain(f"positions-mcp: {completed_for(parsed, str(error))}")
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130
    return code


class _Parser(argparse.ArgumentParser):
    """Says with its own usage, and not with the whole program's, what is one argument too many."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, more = super().parse_known_args(args, namespace)
        if more:
            self.error(f"unrecognized arguments: {' '.join(more)}")
        return known, more


def _print_what_can_be_printed() -> None:
    """A character that a terminal or a pipe has no code for is shown as `?`: no command ends over it.

    Nor over a stream that is closed, as a service's may be: nothing else then gets its number.
    """
    sys.stdin, sys.stdout, sys.stderr = (
        Path(os.devnull).open(mode) if stream is None else stream  # noqa: SIM115
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # a stream that another one took the place of
                stream.reconfigure(errors="replace")


def parser_of(*asked_for: str) -> argparse.ArgumentParser:
    """The parser, with the arguments of these commands: the others are listed with their help and not imported."""
    parser = _Parser(
        prog="positions-mcp", description="Clear Street positions for assistants, with a person deciding what is sent."
    )
    parser.set_defaults(handler=None)
    parser.add_argument("--version", action="version", version=f"positions-mcp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        implementation = importlib.import_module(module) if name in asked_for else None
        described = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if implementation:
            implementation.add_arguments(described)
            described.set_defaults(handler=implementation.run)
    return parser
