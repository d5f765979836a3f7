"""`positions-mcp approver …`: whose passphrase decides as a supervisor. It is read from the terminal device only."""

from __future__ import annotations

import argparse

import anyio

from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.record import Record, on_error, open_record
from positions_mcp.cli.terminal import Terminal, controlling_terminal
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.guard.approval.statements import check_passphrase
from positions_mcp.signing.keys import SHORTEST_PASSPHRASE

_ADVICE = (
    f"At least {SHORTEST_PASSPHRASE} characters; four random words are good. Whoever knows it decides what is sent:\n"
    "keep it out of every chat, file and command line. It is not stored and cannot be recovered."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands of `positions-mcp approver`."""
    commands = parser.add_subparsers(dest="approver_command", required=True, metavar="COMMAND")
    for name, what in (
        ("init", "choose the passphrase that approves on the supervisor's page"),
        ("replace", "choose another one; takes the old one"),
        ("show", "whether there is an approver, and since when"),
    ):
        add_settings_options(commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}."))


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand. Returns the exit code."""
    command = {"init": _init, "replace": _replace, "show": _show}[arguments.approver_command]
    with on_error("Nothing was changed."):
        return command(arguments)


def _init(arguments: argparse.Namespace) -> int:
    with controlling_terminal() as terminal, open_record(arguments) as record:
        if there := record.store.approver():
            raise Refused(
                f"There is an approver already, {there.fingerprint}, in {record.place}.",
                hint=f"`{record.command('approver replace')}` changes its passphrase.",
            )
        terminal.show(_heading(record))
        terminal.show(_ADVICE)
        approver = anyio.run(record.supervisor().set_up_approver, new_passphrase(terminal))
        terminal.show(
            f"Approver {approver.fingerprint} is set up: `{record.command('approve OPERATION')}` decides from now on."
        )
    return 0


def _replace(arguments: argparse.Namespace) -> int:
    with controlling_terminal() as terminal, open_record(arguments) as record:
        held = _held(record)
        terminal.show(_heading(record))
        old = terminal.ask_secret(f"Old passphrase of approver {held.fingerprint}: ")
        check_passphrase(held, old)
        terminal.show(_ADVICE)
        approver = anyio.run(record.supervisor().replace_approver, old, new_passphrase(terminal))
        terminal.show(f"Approver {approver.fingerprint} replaces {held.fingerprint}.")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        print(_heading(record))
        held = record.store.approver()
        if held is None:
            print(f"No approver is set up. Run: `{record.command('approver init')}`")
            return 1
        replaced = "" if held.previous_public_key is None else ", endorsed by the one it replaced"
        print(f"Approver {held.fingerprint}, since {moment(held.created_at)}{replaced}")
        print(f"Ed25519 public key {held.public_key}")
    return 0


def _heading(record: Record) -> str:
    return f"PAPER and LIVE, every account, {record.place}"


def _held(record: Record) -> Approver:
    held = record.store.approver()
    if held is None:
        raise Refused("No approver is set up.", hint=f"Run: `{record.command('approver init')}`")
    return held


def new_passphrase(terminal: Terminal) -> str:
    """Typed twice, and long enough. Raises InvalidInput."""
    first = terminal.ask_secret("New passphrase: ")
    if len(first) < SHORTEST_PASSPHRASE:
        raise InvalidInput(
            f"The passphrase has {len(first)} characters; it needs at least {SHORTEST_PASSPHRASE}.",
            hint="Nothing was changed.",
        )
    if terminal.ask_secret("The same again: ") != first:
        raise InvalidInput("The two passphrases differ.", hint="Nothing was changed.")
    return first
