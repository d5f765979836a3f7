"""What `halt --withdraw` does once it is halted: own unfilled closes are cancelled, and told one by one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import anyio

from positions_mcp.cli.output import paragraph, say, table
from positions_mcp.cli.record import Record, account_dependencies, os_user
from positions_mcp.cli.terminal import controlling_terminal
from positions_mcp.cli.words import money_at_stake
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.withdrawing import Withdrawal, Withdrawn, withdraw
from positions_mcp.settings import Settings, load

_OVER = (Withdrawal.CANCELLED, Withdrawal.PARTLY_FILLED, Withdrawal.FILLED, Withdrawal.ENDED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the option."""
    parser.add_argument(
        "--withdraw",
        action="store_true",
        help="then cancel the program's own closes that have not filled, of --mode and its accounts; asks for the "
        "passphrase. Orders of others and of `flatten` stay",
    )


def run(arguments: argparse.Namespace, record: Record, halts: Sequence[Halt]) -> int:
    """Ask for the passphrase, cancel, report. Returns the exit code: 0 where nothing of it can fill any more."""
    settings = load(
        {
            "mode": arguments.mode,
            "accounts": arguments.accounts,
            "data_dir": arguments.data_dir,
            "paper": {"scenario": arguments.scenario},
        },
        config=arguments.config,
    )
    if record.store.rosters().roster is None:
        raise Refused("No approver is set up.", hint=f"Once, run: `{record.command('approver init')}`")
    accounts = ", ".join(map(str, settings.allowed_accounts))
    with controlling_terminal() as terminal:
        terminal.show(f"\n*** CANCEL own unfilled closes in {money_at_stake(settings.mode)}, account {accounts} ***")
        terminal.show(paragraph("What is cancelled stays held: the position is open again until somebody closes it."))
        passphrase = terminal.ask_secret("Passphrase to CANCEL now: ")
        report = anyio.run(_withdraw, record, settings, halts, passphrase)
    if not report:
        say("No close of this program is open there: nothing was cancelled.")
        return 0
    rows = [(str(row.account_id), row.symbol, row.operation_id, row.order_id or "-", row.outcome) for row in report]
    lines = iter(table(("ACCOUNT", "SYMBOL", "OPERATION", "ORDER", "OUTCOME"), rows))
    say(next(lines))
    for line, row in zip(lines, report, strict=True):
        say(line)
        if row.detail:
            say(paragraph(row.detail, indent="    "))
    return 0 if all(row.outcome in _OVER for row in report) else 1


async def _withdraw(
    record: Record, settings: Settings, halts: Sequence[Halt], passphrase: str
) -> tuple[Withdrawn, ...]:
    async with account_dependencies(settings, record.store) as parts:
        return await withdraw(parts, halts, passphrase, by=os_user())
