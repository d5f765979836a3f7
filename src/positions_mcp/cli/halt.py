"""`positions-mcp halt "why"`: stop everything destructive at once, in every server on the store.

Stopping is always allowed: no passphrase, no terminal.
"""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.record import open_record, os_user
from positions_mcp.cli.words import paragraph
from positions_mcp.domain.errors import StoreUnavailable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp halt`."""
    parser.description = (
        "Stop everything destructive, paper and live, before the next request of every server on this store. "
        "Needs no passphrase: stopping is always allowed. A person's own `flatten` still works."
    )
    parser.add_argument("reason", metavar="WHY", help="for whoever finds it halted")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set the halt. Returns the exit code."""
    try:
        with open_record(arguments) as record:
            halt = anyio.run(partial(record.supervisor().halt, arguments.reason, by=os_user()))
            place, command = record.place, record.command
    except StoreUnavailable as error:
        error.hint = "It is NOT halted. Stop the servers themselves."
        raise
    print(paragraph(f"HALTED by {halt.by}: {halt.reason}"))
    print(f"PAPER and LIVE, every account, {place}")
    print("Running servers send nothing more; a request already in flight finishes and is recorded.")
    print(f"`{command('resume')}` ends it. `{command('flatten ACCOUNT')}` works meanwhile.")
    return 0
