"""What a person's own commands share: the operation store they work on, and the account behind it where they need it.

Deciding, halting and verifying take the store alone: no key of the live API, no account, no running server. The mode is
then the operation's own.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.lazy_store import SharedClock
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.options import settings_from, settings_of_either_mode
from positions_mcp.cli.output import table
from positions_mcp.cli.terminal import Terminal
from positions_mcp.cli.words import notional, what
from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.domain.errors import InvalidInput, NothingSent, PositionsError, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import Member, Roster
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import quoted
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.platforms import this_platform
from positions_mcp.settings import AccountsNotNamed, Settings

if TYPE_CHECKING:
    from positions_mcp.ports import Clock
    from positions_mcp.store.operations import SqlOperationStore


class _Unconnected:
    """Stands where the account would be, for a command that never asks it."""

    async def read_book(self, *_: object, **__: object) -> NoReturn:
        raise NothingSent("This command does not read the account.")

    gather_positions = read_orders = close_position = close_positions = read_book


@dataclass(frozen=True, slots=True)
class Record:
    """The operation store, opened for one command of a person's."""

    settings: Settings
    store: SqlOperationStore
    command: Commands
    """Words commands for the person, with what led to this store."""

    @property
    def place(self) -> str:
        """Where it is, as a command's output names it."""
        elsewhere = " (operations in the database of store.url)" if self.settings.store.url else ""
        return f"data_dir {self.settings.folder}{elsewhere}"

    @property
    def heading_of_all(self) -> str:
        """The first line of what is about every mode and account."""
        return f"PAPER and LIVE, every account, {self.place}"

    def operation(self, operation_id: str, mode: str | None = None) -> Operation:
        """An operation of either mode, or of the one that was said. Raises InvalidInput where there is none."""
        operation = self.store.operation(operation_id)
        if operation is None:
            raise InvalidInput(
                f"There is no operation {quoted(operation_id, 40)} in {self.place}.",
                hint="`positions-mcp operations list` shows them; --data-dir names another place.",
            )
        if mode not in (None, operation.plan.mode):
            raise InvalidInput(
                f"Operation {operation.operation_id} is {operation.plan.mode.shown}, and --mode says {mode}.",
                hint="This command decided nothing.",
            )
        return operation

    @property
    def clock(self) -> Clock:
        """The time by the clock that the store's machines share."""
        return SharedClock(SystemClock(), self.store) if self.settings.store.url else SystemClock()

    def now(self) -> datetime:
        return self.clock.now()

    def supervisor(self, mode: Mode = Mode.PAPER) -> Supervisor:
        """A person's means over the store alone. The mode matters to what is about an operation."""
        return Supervisor(self.dependencies(mode))

    def roster(self) -> Roster:
        """Who may decide. Raises Refused where nobody is set up."""
        roster = self.store.rosters().roster
        if roster is None:
            raise Refused("No approver is set up.", hint=f"Run: `{self.command('approver init')}`")
        return roster

    def person(self, terminal: Terminal, name: str) -> Member:
        """Who is called so, or types their name, or is the only one, who is not asked for it. Raises Refused."""
        roster = self.roster()
        if roster.only is not None and not name:
            return roster.only
        names = ", ".join(member.name for member in roster.members)
        said = name or terminal.ask(f"Who are you ({names})? ").strip()
        member = roster.member(said)
        if member is None:
            raise Refused(f"Nobody called {quoted(said, 40)} approves here.", hint=f"Those who do: {names}.")
        return member

    def passphrase_of(self, member: Member, terminal: Terminal, to_do: str) -> str:
        """Asked for with what it is `to_do`, and with the person's name where several may decide."""
        whose = "" if self.roster().only is not None else f"{member.name}: "
        return terminal.ask_secret(f"{whose}Passphrase to {to_do}: ")

    def heading(self, operation: Operation) -> str:
        """Mode, account and place: the first line of what is said of an operation."""
        return f"{operation.plan.mode.shown} account {operation.account_id}, {self.place}"

    def dependencies(self, mode: Mode) -> Dependencies:
        """What the guard's parts work with over the store alone."""
        clock, nowhere = self.clock, _Unconnected()
        return Dependencies(
            mode=mode,
            policy=self.settings.policy,
            store=self.store,
            positions=nowhere,
            orders=None,
            order_writer=nowhere,
            instructions=None,
            clock=clock,
            market_clock=clock,
            calendar=NewYorkCalendar(),
            ids=RandomIds(),
            command=self.command,
        )


@contextmanager
def open_record(arguments: argparse.Namespace) -> Iterator[Record]:
    """The store that the command line, the environment and the files name.

    Raises ConfigurationError, StoreUnavailable.
    """
    settings = settings_of_either_mode(arguments)
    with open_operations(settings) as store:
        yield Record(settings, store, commands_of(arguments, settings))


def commands_of(arguments: argparse.Namespace, settings: Settings) -> Commands:
    """Words commands for the person, with what led a command of theirs to its store."""
    return Commands(settings, mode=Mode.LIVE if arguments.mode == Mode.LIVE else None)


def settings_for(arguments: argparse.Namespace, account_id: AccountId, *, mode: Mode | str | None) -> Settings:
    """The settings for a command about one account; in live that is the one allowed where no configuration names any.

    Raises ConfigurationError.
    """
    try:
        return settings_from(arguments, mode=mode)
    except AccountsNotNamed:
        return settings_from(arguments, mode=mode, accounts=[account_id])


@asynccontextmanager
async def account_dependencies(settings: Settings, store: SqlOperationStore) -> AsyncIterator[Dependencies]:
    """The guard's parts with the account behind them: the live API, or the paper exchange in this process."""
    with open_venue(settings) as venue:
        async with venue.connect() as client:
            yield guard_dependencies(settings, client, venue.clock, store)


@contextmanager
def on_error(consequence: str) -> Iterator[None]:
    """Any error in here ends with its consequence, such as "Nothing was sent.", and names a person's commands."""
    try:
        yield
    except PositionsError as error:
        hint = error.hint.replace("get_operation", "`positions-mcp operations show`")
        hint = hint.replace("list_operations", "`positions-mcp operations list`")
        if "decided" not in consequence:
            hint = hint.replace("Nothing was decided.", consequence)
        said = f"{error.message} {hint}"
        error.hint = hint if "othing was" in said or consequence in said else f"{hint} {consequence}".lstrip()
        raise


def os_user() -> str:
    """Who the operating system says is running this: a label for the journal, not evidence."""
    return this_platform().user()


_MOST_LOOKED_AT = 1000


def add_operation(parser: argparse.ArgumentParser) -> None:
    """What `chosen` is given."""
    told = "its id; without one the only plan that waits, or a list"
    parser.add_argument("operation", metavar="OPERATION", nargs="?", help=told)


def chosen(record: Record, operation_id: str | None, mode: str | None, states: Iterable[OperationState]) -> Operation:
    """The operation of that id; without one the only one that waits in one of `states`.

    Raises InvalidInput where there is none of that id, none waits, or several do; then the message lists them.
    """
    if operation_id is not None:
        return record.operation(operation_id, mode)
    now = record.now()
    approved = record.store.in_stages((Stage.APPROVED,), _MOST_LOOKED_AT)
    undecided = record.store.waiting(now, _MOST_LOOKED_AT)
    waiting = [
        operation
        for operation in (*undecided, *approved)
        if operation.state(now) in states and mode in (None, operation.plan.mode) and not operation.plan.flatten
    ]
    if not waiting:
        previewed = sum(operation.stage is Stage.PLANNED for operation in undecided)
        named = f" {previewed} previewed, which nobody has asked to send: name one to decide it." if previewed else ""
        raise InvalidInput(f"Nothing waits for a decision in {record.place}.{named}", hint="Nothing was decided.")
    if len(waiting) > 1:
        heading = ("OPERATION", "MODE", "ACCOUNT", "NOTIONAL", "EXPIRES IN", "WHAT")
        rows = [
            (
                each.operation_id,
                each.plan.mode.shown,
                str(each.account_id),
                notional(each),
                _left(each, now),
                what(each),
            )
            for each in waiting
        ]
        said = f"{len(waiting)} plans wait for a decision: name one. This command decided nothing."
        raise InvalidInput("\n".join([said, *table(heading, rows)]))
    return waiting[0]


def _left(operation: Operation, now: datetime) -> str:
    expires = operation.decision.expires_at if operation.decision else operation.plan.expires_at
    seconds = max(int((expires - now).total_seconds()), 0)
    return f"{seconds // 60} min {seconds % 60:02} s"
