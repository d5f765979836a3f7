"""`positions-mcp halt [WHY…]`: stop everything destructive at once, in every server on the store.

Stopping is always allowed: no passphrase, no terminal.
"""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.record import open_record, os_user
from positions_mcp.cli.words import paragraph
from positions_mcp.domain.errors import PositionsError, StoreUnavailable

_NOT_HALTED = "It is NOT halted. Stop the servers themselves."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp halt`."""
    parser.description = (
        "Stop everything destructive, paper and live, before the next request of every server on this store. "
        "Needs no passphrase: stopping is always allowed. A person's own `flatten` still works."
    )
    parser.add_argument("reason", metavar="WHY", nargs="*", help="for whoever finds it halted; needs no quotes")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set the halt. Returns the exit code."""
    try:
        with open_record(arguments) as record:
            halt = anyio.run(partial(record.supervisor().halt, " ".join(arguments.reason), by=os_user()))
            place, command = record.place, record.command
    except PositionsError as error:
        error.hint = _NOT_HALTED
        raise
    except Exception as error:  # whatever it was, a person must not believe that it is halted
        raise StoreUnavailable(f"The halt failed ({type(error).__name__}: {error}).", hint=_NOT_HALTED) from error
    print(paragraph(f"HALTED by {halt.by}: {halt.reason}"))
    print(f"PAPER and LIVE, every account, {place}")
    print("Running servers send nothing more; a request already in flight finishes and is recorded.")
    print(f"`{command('resume')}` ends it. `{command('flatten ACCOUNT')}` works meanwhile.")
    return 0
