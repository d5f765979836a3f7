"""What `halt --withdraw` does once it is halted: own unfilled closes are cancelled, and told one by one."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from positions_mcp.cli.options import add_name, settings_from
from positions_mcp.cli.output import paragraph, say, table
from positions_mcp.cli.record import Record, account_dependencies
from positions_mcp.cli.terminal import controlling_terminal
from positions_mcp.cli.words import money_at_stake, order_text
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.cancelling import OwnOrder, Withdrawn
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.touches import Touches
from positions_mcp.guard.withdrawing import Offer, Withdrawing, shown_of
from positions_mcp.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--withdraw",
        action="store_true",
        help="then cancel the program's own closes that have not filled, of --mode and its accounts; shows them, and "
        "asks for the passphrase. Orders of others and of `flatten` stay",
    )
    add_name(parser)


def run(arguments: argparse.Namespace, record: Record, halts: Sequence[Halt]) -> int:
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
        passphrase = record.passphrase_of(member, terminal, f"CANCEL {_these(offer)} now")
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


def _these(offer: Offer) -> str:
    return "this order" if len(offer.own) == 1 else f"these {len(offer.own)} orders"
