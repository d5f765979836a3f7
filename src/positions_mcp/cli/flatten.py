"""`positions-mcp flatten ACCOUNT [SYMBOL…]`: a person's own way out, without any assistant or running server.

It does not depend on the operation store either: `emergency` has another record for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import anyio

from positions_mcp.cli.emergency import NotJournalled, flatten_on_record
from positions_mcp.cli.options import add_name, add_settings_options, seconds, whole_number
from positions_mcp.cli.output import paragraph, progress
from positions_mcp.cli.record import Record, account_dependencies, on_error, os_user, settings_for
from positions_mcp.cli.terminal import INTERRUPTED, Terminal, controlling_terminal
from positions_mcp.cli.words import money_at_stake, operation_text
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.ids import account_id
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.supervisor import Flattening, Supervisor
from positions_mcp.settings import Settings

POLL_S = 1.0
_RISK = (
    "Whatever is held when it is sent is closed at market, after open orders are cancelled. A close that is already on "
    "its way, or whose outcome is unknown, may still fill: then the same position is closed twice and the opposite "
    "one is opened."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Close what an account holds, yourself: whatever is held when it is sent, open orders cancelled first. Works "
        "without a server, under a halt, beyond limits, where trading is not enabled and where an outcome is unknown; "
        "names every rule it overrides. Takes a terminal, the account typed again, and the passphrase."
    )
    parser.add_argument("account", metavar="ACCOUNT", type=whole_number, help="the account number")
    parser.add_argument("symbols", metavar="SYMBOL", nargs="*", default=[], help="only these; otherwise everything")
    parser.add_argument(
        "--follow", metavar="SECONDS", type=seconds, default=60.0, help="how long to follow what was sent (default 60)"
    )
    add_name(parser)
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, ask, send once, follow. Returns the exit code: 0 once something was sent and nothing is in doubt."""
    with controlling_terminal() as terminal:
        return flatten_on_record(arguments, terminal, lambda record: _flatten(terminal, record, arguments))


def _flatten(terminal: Terminal, record: Record, arguments: argparse.Namespace) -> int:
    """Do it on one record. Raises NotJournalled where that failed and nothing was sent."""
    with on_error("Nothing was sent."):
        settings = settings_for(arguments, account_id(arguments.account), mode=arguments.mode)
        with _nothing_was_sent():
            record.roster()
            with progress(f"Reading account {arguments.account}"):
                flattening = anyio.run(_plan, record, settings, arguments)
        answers = _ask(terminal, record, settings, flattening, arguments.name)
        if answers is None:
            return INTERRUPTED
    operation_id = flattening.operation.operation_id
    try:
        with on_error("Nothing was sent."), _nothing_was_sent(), progress("Sending"):
            done = anyio.run(_send, record, settings, flattening, answers)
        if done.anything_sent is False and (why := record.store.status().reason):
            raise NotJournalled(why, hint="Nothing was sent.")
        terminal.show(operation_text(done, record.command))
        if done.anything_sent is not False:
            done = anyio.run(_follow, terminal, record, settings, done, arguments.follow)
    except KeyboardInterrupt:
        now = report(record.operation(operation_id), SystemClock().now())
        terminal.show(f"\nNo longer watching. What was sent stays sent.\n{operation_text(now, record.command)}")
        return INTERRUPTED
    return 0 if done.anything_sent and done.state is not OperationState.REJECTED else 1


@contextmanager
def _nothing_was_sent() -> Iterator[None]:
    """Up to here, a store that fails has kept everything from being sent: the executor says so where it raises."""
    try:
        yield
    except StoreUnavailable as error:
        raise NotJournalled(error.message, hint=error.hint) from error


async def _plan(record: Record, settings: Settings, arguments: argparse.Namespace) -> Flattening:
    async with account_dependencies(settings, record.store) as parts:
        plan = partial(Supervisor(parts).plan_flatten, by=os_user())
        return await plan(account_id(arguments.account), arguments.symbols or None)


def _ask(
    terminal: Terminal, record: Record, settings: Settings, flattening: Flattening, name: str
) -> tuple[str, str, str] | None:
    """Passphrase, account as typed and who it is, after the whole question; None where the person interrupted."""
    terminal.show(record.heading(flattening.operation))
    terminal.show(f"\n*** FLATTEN in {money_at_stake(settings.mode)} ***\n")
    terminal.show(paragraph(flattening.question))
    for finding in flattening.overrides:
        terminal.show(paragraph(f'OVERRIDES the rule "{finding.rule}": {finding.message}'))
    terminal.show(paragraph(f"RISK: {_RISK}"))
    try:
        account = terminal.ask("\nType the account number to flatten it (Ctrl-C sends nothing): ")
        if not flattening.operation.plan.is_of_account(account):
            raise Refused(f"The account typed is not {flattening.operation.account_id}.", hint="Nothing was sent.")
        member = record.person(terminal, name)
        passphrase = record.passphrase_of(member, terminal, "SEND now")
    except KeyboardInterrupt:
        terminal.show("\nNothing was sent.")
        return None
    return passphrase, account, member.name


async def _send(
    record: Record, settings: Settings, flattening: Flattening, answers: tuple[str, str, str]
) -> OperationReport:
    async with account_dependencies(settings, record.store) as parts:
        passphrase, typed_account, name = answers
        return await Supervisor(parts).flatten(flattening, passphrase, typed_account=typed_account, name=name)


async def _follow(
    terminal: Terminal, record: Record, settings: Settings, done: OperationReport, seconds: float
) -> OperationReport:
    """Say what is left as it changes, until nothing more happens by itself or the time is over."""
    async with account_dependencies(settings, record.store) as parts:
        guard = Guard(parts)
        with anyio.move_on_after(seconds), progress("Following it (Ctrl-C stops watching only)") as line:
            while _is_moving(record.operation(done.operation_id)):
                await anyio.sleep(POLL_S)
                now = await guard.operation(done.operation_id)
                if now.rows != done.rows:
                    line.clear()
                    terminal.show(f"\n{operation_text(now, record.command)}")
                done = now
    return done


def _is_moving(operation: Operation) -> bool:
    """Whether an order may still fill while one watches; one that waits for a session is not worth watching."""
    return any(row.is_unfinished and row.state is not RowState.QUEUED and not row.is_in_doubt for row in operation.rows)
