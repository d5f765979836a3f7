"""`positions-mcp flatten ACCOUNT [SYMBOL…]`: a person's own way out, without any assistant or running server.

It does not depend on the operation store either. A full disk, a file that was altered, a database that is gone: none of
them may keep a trader in a falling market. What is sent is then journalled in a new store of its own, and the person is
told where, so that nothing is forgotten.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import anyio

from positions_mcp.cli.approver import new_passphrase
from positions_mcp.cli.assembly.stores import database_of
from positions_mcp.cli.options import add_name, add_settings_options, seconds, settings_of_either_mode, whole_number
from positions_mcp.cli.output import paragraph, progress
from positions_mcp.cli.record import (
    Record,
    account_dependencies,
    commands_of,
    money_at_stake,
    on_error,
    open_record,
    operation_text,
    os_user,
    settings_for,
)
from positions_mcp.cli.terminal import INTERRUPTED, Terminal, controlling_terminal
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import PositionsError, Refused, StoreUnavailable
from positions_mcp.domain.ids import account_id
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.supervisor import Flattening, Supervisor
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.store.operations import SqlOperationStore


class NotJournalled(StoreUnavailable):
    """The operation store failed, and provably nothing was sent."""


def flatten_on_record(arguments: argparse.Namespace, terminal: Terminal, flatten: Callable[[Record], int]) -> int:
    """Flatten on the usual record; where that cannot be written, on one of its own, with the usual approver.

    `flatten` raises NotJournalled where the record fails it before anything is sent: then it is asked to go again on
    the other.
    """
    record, approver, why = None, None, ""
    with ExitStack() as stack:
        try:
            _expect_not_emptied(arguments)
            record = stack.enter_context(open_record(arguments))
            approver = _rosters_of(record.store)
            why = record.store.status().reason
        except PositionsError as error:
            why = error.message
        except Exception as error:  # nothing that is wrong with a store stops a person who flattens
            why = f"{type(error).__name__}: {error}"
        try:
            if record is not None and not why:
                return flatten(record)
        except NotJournalled as error:
            why = error.message
        with on_error("Nothing was sent."):
            record = stack.enter_context(_emergency_record(arguments, terminal, why, approver))
        return flatten(record)


def _expect_not_emptied(arguments: argparse.Namespace) -> None:
    """Raise StoreUnavailable for a file that is there and holds nothing: opening it would begin a store anew."""
    settings = settings_of_either_mode(arguments)
    file = database_of(settings)
    if isinstance(file, Path) and file.exists() and not file.stat().st_size:
        raise StoreUnavailable(f"{file} is empty: what it held is lost.")


def _rosters_of(store: SqlOperationStore) -> RosterChain | None:
    try:
        return store.rosters()
    except (PositionsError, ValueError):
        return None


@contextmanager
def _emergency_record(
    arguments: argparse.Namespace, terminal: Terminal, why: str, chain: RosterChain | None
) -> Iterator[Record]:
    settings = settings_of_either_mode(arguments)
    terminal.show(paragraph(f"THE OPERATION STORE CANNOT BE USED: {why}"))
    store = _emergency_store()
    try:
        record = Record(settings, store, commands_of(arguments, settings))
        terminal.show(paragraph(f"What is sent now is journalled in {store.status().place}: keep it."))
        terminal.show(paragraph("Requests of other processes and unknown outcomes cannot be seen from here."))
        if chain is not None and chain.roster is not None:
            _take_over(store, chain)
        else:
            terminal.show(paragraph("The approver cannot be relied on either. Choose a passphrase for this once."))
            anyio.run(record.supervisor().set_up_approver, new_passphrase(terminal))
        yield record
    finally:
        store.close()


def _take_over(store: SqlOperationStore, chain: RosterChain) -> None:
    """Keep everybody who may decide, with every signature that says so."""
    now, before = SystemClock().now(), None
    for approver in chain.approvers:
        store.set_approver(approver, replacing=before, now=now)
        before = approver.public_key
    for link in chain.links:
        store.set_roster(link, now)


def _emergency_store() -> SqlOperationStore:
    """A new store where one can be written; the disk that holds temporary files may be the one that is full."""
    parents = (tempfile.gettempdir(), *map(str, this_platform().spare_folders))
    for parent in parents:
        try:
            store = open_store(Path(tempfile.mkdtemp(prefix="positions-mcp-flatten-", dir=parent)) / DEFAULT_FILE)
        except (OSError, StoreUnavailable):
            continue
        if store.status().writable:
            return store
        store.close()
    raise StoreUnavailable(
        f"No record can be written in {' or '.join(parents)} either, and nothing is sent without one.",
        hint="Set TMPDIR to a directory that can be written.",
    )


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
