"""`positions-mcp halt [WHY…]`: stop what is destructive at once, in every server on the store: all of it, or a part.

Stopping is always allowed: no passphrase, no terminal.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import anyio

from positions_mcp.cli import withdraw
from positions_mcp.cli.options import add_settings_options, whole_number
from positions_mcp.cli.output import paragraph, say
from positions_mcp.cli.record import Record, open_record, os_user
from positions_mcp.cli.terminal import INTERRUPTED
from positions_mcp.cli.words import halted
from positions_mcp.domain.errors import InvalidInput, PositionsError, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.supervision import Halt, Trade
from positions_mcp.guard.deciding import doubt_about

_NOT_HALTED = "It is NOT halted. Stop the servers themselves."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Stop everything destructive, paper and live, before the next request of every server on this store; with "
        "--account, --caller or --kind only what all of them name. Needs no passphrase: stopping is always allowed. A "
        "person's own `flatten` still works."
    )
    parser.add_argument("reason", metavar="WHY", nargs="*", help="for whoever finds it halted; needs no quotes")
    add_scope(parser)
    withdraw.add_arguments(parser)
    add_settings_options(parser)


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Describe what narrows a halt. `--account` is among the settings' options."""
    parser.add_argument(
        "--caller",
        metavar="NAME",
        default="",
        help="only what this caller asks for: a client's name or token's subject",
    )
    parser.add_argument("--kind", metavar="KIND", default="", help=f"only this kind: {' or '.join(Trade)}")


def scopes_of(arguments: argparse.Namespace) -> list[tuple[AccountId | None, str, Trade | None]]:
    """What the options name, one for each account. Raises InvalidInput for an account or a kind that cannot be."""
    kind, accounts = arguments.kind.strip().lower(), arguments.accounts or [None]
    if kind not in ("", *Trade):
        raise InvalidInput(f"{arguments.kind!r:.60} is no kind.", hint=f"Use {' or '.join(Trade)}.")
    try:
        numbers = [None if account is None else AccountId(whole_number(account)) for account in accounts]
    except argparse.ArgumentTypeError:
        raise InvalidInput("--account takes an account's number.") from None
    return [(number, arguments.caller.strip(), Trade(kind) if kind else None) for number in numbers]


def run(arguments: argparse.Namespace) -> int:
    """Set the halt. Returns the exit code."""
    try:
        scopes = scopes_of(arguments)
        with open_record(arguments) as record:
            halts = anyio.run(_halt, record, " ".join(arguments.reason), scopes)
            doubt = doubt_about(record.store, halts, frozenset(record.settings.allowed_accounts))
            place, command = record.place, record.command
    except PositionsError as error:
        error.hint = f"{error.hint} {_NOT_HALTED}" if isinstance(error, InvalidInput) else _NOT_HALTED
        raise
    except Exception as error:  # whatever it was, a person must not believe that it is halted
        raise StoreUnavailable(f"The halt failed ({type(error).__name__}: {error}).", hint=_NOT_HALTED) from error
    for halt in halts:
        say(paragraph(halted(halt)))
    everything = any(halt.is_of_everything for halt in halts)
    say(f"PAPER and LIVE, {'every account' if everything else 'nothing else'}, {place}")
    if doubt:
        say(paragraph(doubt))
    say("Running servers send nothing more of it; a request already in flight finishes and is recorded.")
    say(f"`{command('resume')}` ends it. `{command('flatten ACCOUNT')}` works meanwhile.")
    return _withdraw(arguments, halts) if arguments.withdraw else 0


def _withdraw(arguments: argparse.Namespace, halts: Sequence[Halt]) -> int:
    """It is halted, whatever comes of this."""
    try:
        with open_record(arguments) as record:
            return withdraw.run(arguments, record, halts)
    except PositionsError as error:
        error.hint = f"{error.hint} It IS halted; nothing was cancelled.".lstrip()
        raise
    except KeyboardInterrupt:
        say("It IS halted. The withdrawal was broken off: run it again for what is left.")
        return INTERRUPTED


async def _halt(
    record: Record, reason: str, scopes: Sequence[tuple[AccountId | None, str, Trade | None]]
) -> list[Halt]:
    supervisor = record.supervisor()
    return [
        await supervisor.halt(reason, by=os_user(), account_id=account_id, caller=caller, kind=kind)
        for account_id, caller, kind in scopes
    ]
