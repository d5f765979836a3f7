"""`positions-mcp resume`: end a halt, at a terminal, with the approver's passphrase where there is one."""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.halt import add_scope, scopes_of
from positions_mcp.cli.options import add_name, add_settings_options
from positions_mcp.cli.output import paragraph
from positions_mcp.cli.record import on_error, open_record, os_user
from positions_mcp.cli.terminal import controlling_terminal
from positions_mcp.cli.words import halted
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.guard.deciding import digest_of_halt, digest_of_halts

_WORD = "resume"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "End every halt that stands, or with --account, --caller or --kind the one that was set with the same. Needs a "
        "person at a terminal, and the approver's passphrase where an approver is set up."
    )
    add_scope(parser)
    add_name(parser)
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show why it is halted, ask, and resume. Returns the exit code."""
    with on_error("Nothing was changed."), controlling_terminal() as terminal, open_record(arguments) as record:
        halts = record.store.halts()
        terminal.show(record.heading_of_all)
        if not halts:
            terminal.show("Nothing is halted.")
            return 0
        for halt in halts:
            terminal.show(paragraph(f"{halted(halt)} (since {moment(halt.at)})"))
        shown = digest_of_halts(halts)
        if (scope := _one_scope(arguments)) != (None, "", None):
            meant = next((each for each in halts if (each.account_id, each.caller, each.kind) == scope), None)
            if meant is None:
                raise InvalidInput("No halt that stands was set with these options.")
            shown = digest_of_halt(meant)
            terminal.show(paragraph(f"To be ended: {meant.scope}. The others stay."))
        passphrase, name = None, ""
        if record.store.rosters().roster is not None:
            member = record.person(terminal, arguments.name)
            name = member.name
            passphrase = record.passphrase_of(member, terminal, "resume")
        elif terminal.ask(f"No approver is set up. Type {_WORD} to resume: ").strip() != _WORD:
            raise Refused("It stays halted.", hint=f"Only the word {_WORD} ends the halt.")
        anyio.run(partial(record.supervisor().resume, passphrase, by=os_user(), shown=shown, name=name))
        terminal.show("RESUMED. Servers may send again what a person approves.")
    return 0


def _one_scope(arguments: argparse.Namespace) -> object:
    scopes = scopes_of(arguments)
    if len(scopes) > 1:
        raise InvalidInput("One halt is ended at a time, or all.", hint="Give one --account, or no option at all.")
    return scopes[0]
