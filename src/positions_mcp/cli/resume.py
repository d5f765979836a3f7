"""`positions-mcp resume`: end a halt, at a terminal, with the approver's passphrase where there is one."""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.record import on_error, open_record, os_user
from positions_mcp.cli.terminal import controlling_terminal
from positions_mcp.cli.words import paragraph
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import Refused
from positions_mcp.guard.supervisor import digest_of_halt

_WORD = "resume"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `positions-mcp resume`."""
    parser.description = (
        "End a halt. Needs a person at a terminal, and the approver's passphrase where an approver is set up."
    )
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show why it is halted, ask, and resume. Returns the exit code."""
    with on_error("Nothing was changed."), controlling_terminal() as terminal, open_record(arguments) as record:
        halt = record.store.halt()
        terminal.show(f"PAPER and LIVE, every account, {record.place}")
        if halt is None:
            terminal.show("Nothing is halted.")
            return 0
        terminal.show(paragraph(f"Halted {moment(halt.at)} by {halt.by}: {halt.reason}"))
        passphrase = None
        if record.store.approver() is not None:
            passphrase = terminal.ask_secret("Passphrase to resume: ")
        elif terminal.ask(f"No approver is set up. Type {_WORD} to resume: ").strip() != _WORD:
            raise Refused("It stays halted.", hint=f"Only the word {_WORD} ends the halt.")
        anyio.run(partial(record.supervisor().resume, passphrase, by=os_user(), shown=digest_of_halt(halt)))
        terminal.show("RESUMED. Servers may send again what a person approves.")
    return 0
