"""`positions-mcp halt [WHY…]`: stop what is destructive at once, in every server on the store: all of it, or a part.

Stopping is always allowed: no passphrase, no terminal. With `--withdraw`, once it is halted, own unfilled closes are
cancelled too, and told one by one: that takes an approver.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from positions_mcp.cli.options import accounts_of, add_name, add_settings_options, settings_from
from positions_mcp.cli.output import paragraph, say, table
from positions_mcp.cli.record import Record, account_dependencies, open_record, os_user
from positions_mcp.cli.terminal import INTERRUPTED, controlling_terminal
from positions_mcp.cli.words import halted, money_at_stake, order_text
from positions_mcp.domain.errors import InvalidInput, PositionsError, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.supervision import Halt, Trade
from positions_mcp.guard.cancelling import OwnOrder, Withdrawn
from positions_mcp.guard.deciding import doubt_about
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.touches import Touches
from positions_mcp.guard.withdrawing import Offer, Withdrawing, shown_of
from positions_mcp.settings import Settings

_NOT_HALTED = "It is NOT halted. Stop the servers themselves."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Stop everything destructive, paper and live, before the next request of every server on this store; with "
        "--account, --caller or --kind only what all of them name. Needs no passphrase: stopping is always allowed. A "
        "person's own `flatten` still works."
    )
    parser.add_argument("reason", metavar="WHY", nargs="*", help="for whoever finds it halted; needs no quotes")
    add_scope(parser)
    _add_withdrawal(parser)
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
    kind = arguments.kind.strip().lower()
    if kind not in ("", *Trade):
        raise InvalidInput(f"{arguments.kind!r:.60} is no kind.", hint=f"Use {' or '.join(Trade)}.")
    trade = Trade(kind) if kind else None
    accounts: Sequence[AccountId | None] = accounts_of(arguments) or [None]
    return [(number, arguments.caller.strip(), trade) for number in accounts]


def run(arguments: argparse.Namespace) -> int:
    try:
        scopes = scopes_of(arguments)
        with open_record(arguments) as record:
            halts = anyio.run(_halt, record, " ".join(arguments.reason), scopes)
            doubt = doubt_about(record.store, halts, frozenset(record.settings.allowed_accounts))
            place, command = record.place, record.command
    except PositionsError as error:
        error.hint = f"{error.hint} {_NOT_HALTED}".lstrip() if isinstance(error, InvalidInput) else _NOT_HALTED
        raise
    except Exception as error:  # whatever it was, a person must not believe that it is halted
        raise StoreUnavailable(f"The halt failed ({type(error).__name__}: {error}).", hint=_NOT_HALTED) from error
    for halt in halts:
        say(paragraph(halted(halt)))
    everything = any(halt.is_of_everything for halt in halts)
    say(f"PAPER and LIVE, {'every account' if everything else 'only that'}, {place}")
    if doubt:
        say(paragraph(doubt))
    say("Running servers send nothing more of it; a request already in flight finishes and is recorded.")
    say(f"`{command('resume')}` ends it. `{command('flatten ACCOUNT')}` works meanwhile.")
    return _withdraw(arguments, halts) if arguments.withdraw else 0


def _withdraw(arguments: argparse.Namespace, halts: Sequence[Halt]) -> int:
    """It is halted, whatever comes of this."""
    try:
        with open_record(arguments) as record:
            return _withdrawn(arguments, record, halts)
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


def _add_withdrawal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--withdraw",
        action="store_true",
        help="then cancel the program's own closes that have not filled, of --mode and its accounts; shows them, and "
        "asks for the passphrase. Orders of others and of `flatten` stay",
    )
    add_name(parser)


def _withdrawn(arguments: argparse.Namespace, record: Record, halts: Sequence[Halt]) -> int:
    """Show what there is, ask for the passphrase, cancel, report. Returns 0 where nothing of it can fill any more."""
    settings = settings_from(arguments)
    accounts = ", ".join(map(str, settings.allowed_accounts))
    with controlling_terminal() as terminal:
        terminal.show(f"\n*** CANCEL own unfilled closes in {money_at_stake(settings.mode)}, account {accounts} ***")
        member = record.person(terminal, arguments.name)
        looking = replace(record.dependencies(settings.mode), policy=settings.policy)
        offer = anyio.run(Withdrawing(looking, Touches(looking)).open_now, halts, member.name)
        if offer.others:
            terminal.show(f"{offer.others} more in accounts where {member.name} may not approve: they stay.")
        if not offer.own:
            say("No close of this program is open there: nothing was cancelled.")
            return 1 if offer.others else 0
        for line in table(("ACCOUNT", "SYMBOL", "OPERATION", "ORDER", "AS LAST SEEN"), map(_asked, offer.own)):
            terminal.show(line)
        terminal.show(paragraph("What is cancelled stays held: the position is open again until somebody closes it."))
        these = "this order" if len(offer.own) == 1 else f"these {len(offer.own)} orders"
        passphrase = record.passphrase_of(member, terminal, f"CANCEL {these} now")
        sign = partial(_signed, halts, offer, member.name, passphrase)
        report = anyio.run(_with_account, settings, record, sign)
    rows = [(str(row.account_id), row.symbol, row.operation_id, row.order_id or "-", row.outcome) for row in report]
    lines = iter(table(("ACCOUNT", "SYMBOL", "OPERATION", "ORDER", "OUTCOME"), rows))
    say(next(lines))
    for line, row in zip(lines, report, strict=True):
        say(line)
        if row.detail:
            say(paragraph(row.detail, indent="    "))
    return 0 if not offer.others and all(row.outcome.is_over for row in report) else 1


async def _with_account(
    settings: Settings, record: Record, act: Callable[[Dependencies], Awaitable[tuple[Withdrawn, ...]]]
) -> tuple[Withdrawn, ...]:
    async with account_dependencies(settings, record.store) as deps:
        return await act(deps)


async def _signed(
    halts: Sequence[Halt], offer: Offer, name: str, passphrase: str, deps: Dependencies
) -> tuple[Withdrawn, ...]:
    touches = Touches(deps)
    who, key = await Enrolling(deps, touches).signer(name, passphrase, TERMINAL)
    act = await Withdrawing(deps, touches).signing(halts, [shown_of(each) for each in offer.own], who)
    await act.sign(key)
    return await act.run()


def _asked(own: OwnOrder) -> Sequence[str]:
    order = own.order
    seen = f"not known: its request is {own.row.state}" if order is None else f"{order.side or ''} {order_text(order)}"
    account, operation_id = str(own.operation.account_id), own.operation.operation_id
    return account, own.symbol, operation_id, order.order_id if order else "-", seen.strip()
