"""One exclusive write: what it may rely on, and how a change and its journal entry become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, func, select

from positions_mcp.domain.errors import InvalidInput, Overtaken
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.store import counting, deciders, journal, keeping, records, standings
from positions_mcp.store.instants import instant
from positions_mcp.store.schema import as_text, operations
from positions_mcp.store.schema import journal as journal_table
from positions_mcp.store.tallies import Tallies

SENDING = "sending"
"""The event that makes rows SENDING."""
_HALTS = TypeAdapter(tuple[Halt, ...])
PASSKEYS = "passkeys"
VALUE_EVENTS = {
    "halt": ("halted", "resumed"),
    "approver": ("approver set",),
    "roster": ("roster set",),
    PASSKEYS: ("passkey used",),
}
"""The journal's events that set each single value."""


class Transaction:
    """Implements `positions_mcp.ports.Ledger` within a transaction that nobody else can interrupt."""

    def __init__(self, connection: Connection, tallies: Tallies | None = None) -> None:
        self.connection = connection
        self.tallies = tallies or Tallies()
        """What the journal says of mandates, as far as it was walked."""

    def at(self, now: datetime) -> datetime:
        """What decides about leases and expiry: the clock that all machines share, else the caller's `now`."""
        return instant(self.connection, now)

    def halts(self) -> tuple[Halt, ...]:
        """The halts that stand, oldest first. Raises StoreUnavailable where they cannot be read."""
        stored = self.single("halt")
        if not stored:
            return ()
        try:
            return _HALTS.validate_json(stored) if stored.startswith("[") else (Halt.model_validate_json(stored),)
        except ValidationError as error:
            raise journal.broken("a halt cannot be read") from error

    def keep_halts(self, event: str, halts: Sequence[Halt], now: datetime, content: dict[str, Any]) -> None:
        """Set the halts that stand. One alone is stored as releases that know only one do."""
        told = [halt.model_dump_json() for halt in halts]
        value = f"[{','.join(told)}]" if len(told) > 1 else next(iter(told), None)
        self.note(event, "halt", value, now, content)

    def used(self, mode: Mode, account_id: AccountId, day: date) -> Decimal:
        """Dollars reserved for what was sent, or may have been, on a New York day."""
        return records.used_on(self.connection, mode, account_id, day)

    def unfinished(self, mode: Mode, account_id: AccountId) -> tuple[Operation, ...]:
        """Operations of the account that may still change its book, oldest first."""
        return records.select_operations(self.connection, *_of(mode, account_id), operations.c.unfinished.is_(True))

    def sent_after_planning(self, operation_id: str) -> tuple[Operation, ...]:
        """Other operations of the account that sent something after this one was planned, by the journal's order."""
        mine = select(operations).where(operations.c.id == operation_id).subquery()
        return records.select_operations(
            self.connection,
            operations.c.mode == select(mine.c.mode).scalar_subquery(),
            operations.c.account_id == select(mine.c.account_id).scalar_subquery(),
            operations.c.sent_entry > select(mine.c.planned_entry).scalar_subquery(),
            operations.c.id != operation_id,
        )

    def open_plans(self, mode: Mode, now: datetime) -> Mapping[str, int]:
        """How many plans nobody has decided yet, by caller; those that have expired by `now` are over."""
        return records.count_open_plans(self.connection, mode, now)

    def counted_since(
        self, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
    ) -> datetime | None:
        """When the `nth` latest operation that counts for a caller in an account was asked for; None where fewer were.

        Only those asked for after `since` are looked at.
        """
        return counting.nth_latest(
            self.connection, mode=mode, account_id=account_id, caller=caller, since=since, nth=nth
        )

    def standing(self, mandate_id: str) -> Standing:
        """A mandate and its uses, which are as the journal says. Raises InvalidInput, StoreUnavailable."""
        return standings.checked(self.connection, self.tallies, mandate_id)

    def operation(self, operation_id: str) -> Operation:
        """An operation that is as its last journal entry left it.

        Raises:
            InvalidInput: there is none of that id.
            StoreUnavailable: it was altered outside of the program.
        """
        operation = records.select_operation(self.connection, operation_id)
        if operation is None:
            raise InvalidInput(
                f"There is no operation {operation_id!r:.80}.", hint="list_operations names the recent ones."
            )
        self.check(operation)
        return operation

    def check(self, operation: Operation) -> None:
        """Raise StoreUnavailable unless the tables hold what the journal says was written."""
        noted = journal.last_state_digest(self.connection, operation.operation_id)
        if noted is None or noted != records.state_digest(self.connection, operation.operation_id):
            raise journal.broken(f"operation {operation.operation_id} is not as it was written")

    def add(self, operation: Operation, request_key: str, content: dict[str, Any]) -> Operation:
        """Store a new operation and say so in the journal."""
        records.insert_operation(self.connection, operation, request_key, journal.next_sequence(self.connection))
        return self._note(operation, "plan made", content)

    def save(
        self,
        operation: Operation,
        event: str,
        now: datetime,
        *,
        content: dict[str, Any] | None = None,
        rows: Sequence[Row] = (),
        counted_at: datetime | None = None,
        **changes: Any,
    ) -> Operation:
        """Store a changed operation and say so in the journal. `rows` replace those of the same position.

        `counted_at` where it counts for its caller from now on.
        """
        rows = [row.released() for row in rows]
        replaced = {row.position: row for row in rows}
        merged = tuple(replaced.get(row.position, row) for row in operation.rows)
        try:
            changed = operation.changed(**changes, rows=merged, updated_at=max(now, operation.updated_at))
        except ValidationError as error:
            raise Overtaken(
                f"Operation {operation.operation_id} is {operation.stage}: this can no longer happen to it."
            ) from error
        sent_entry = journal.next_sequence(self.connection) if event == SENDING else None
        records.update_operation(self.connection, changed, sent_entry=sent_entry, counted_at=counted_at)
        told = {**(content or {}), "stage": changed.stage.value}
        if rows:
            told["rows"] = [row.model_dump(mode="json", exclude_defaults=True) for row in rows]
        return self._note(changed, event, told)

    def single(self, key: str) -> str | None:
        """A single value that is as its last journal entry left it. Raises StoreUnavailable where it was altered."""
        value = keeping.get(self.connection, key)
        noted = journal.last_digest_of_value(self.connection, VALUE_EVENTS[key])
        if noted != (None if value is None and noted is None else journal.digest_of(value)):
            raise journal.broken(f"the {key} is not as it was written")
        return value

    def rosters(self) -> RosterChain:
        """Everybody who ever could decide. Raises StoreUnavailable where a roster was not signed by who may."""
        return deciders.read(self.connection, self.single("approver"), self.single("roster"))

    def approved_by(self, name: str, mode: Mode, account_id: AccountId, day: date) -> Decimal:
        """Dollars that were sent on somebody's word on a New York day, or are being sent."""
        return deciders.approved_by(self.connection, name, mode, account_id, day)

    def first_yes(self, operation_id: str) -> SignedStatement | None:
        """What the first of two people has signed of an operation; None where nobody has."""
        return deciders.first_yes(self.connection, operation_id)

    def note(self, event: str, key: str, value: str | None, now: datetime, content: dict[str, Any]) -> None:
        """Set a single value and say so in the journal."""
        keeping.put(self.connection, key, value)
        journal.append(
            self.connection,
            at=now,
            event=event,
            operation_id=None,
            content={**content, "key": key},
            state_digest=journal.digest_of(value),
        )

    def count(self, event: str, operation_id: str) -> int:
        """How many entries with that event an operation has."""
        of_it = journal_table.c.operation_id == operation_id, journal_table.c.event == event
        return self.connection.execute(select(func.count()).where(*of_it)).scalar_one()

    def count_since(self, event: str, since: datetime) -> int:
        """How many entries of no operation have that event and came after `since`."""
        of_none = journal_table.c.operation_id.is_(None), journal_table.c.event == event
        recent = journal_table.c.at > as_text(since)
        return self.connection.execute(select(func.count()).where(*of_none, recent)).scalar_one()

    def append_alone(self, event: str, content: dict[str, Any], now: datetime) -> None:
        """Add an entry that is about no operation and sets no value."""
        journal.append(self.connection, at=now, event=event, operation_id=None, content=content, state_digest=None)

    def append(self, operation: Operation, event: str, content: dict[str, Any], now: datetime) -> None:
        """Add an entry about an operation that is as it was."""
        journal.append(
            self.connection,
            at=now,
            event=event,
            operation_id=operation.operation_id,
            content=content,
            state_digest=records.state_digest(self.connection, operation.operation_id),
        )

    def _note(self, operation: Operation, event: str, content: dict[str, Any]) -> Operation:
        journal.append(
            self.connection,
            at=operation.updated_at,
            event=event,
            operation_id=operation.operation_id,
            content=content,
            state_digest=records.state_digest(self.connection, operation.operation_id),
        )
        return operation


def expect(operation: Operation, stages: Sequence[Stage]) -> None:
    """Raise Overtaken unless the operation is in one of the stages."""
    if operation.stage not in stages:
        raise Overtaken(
            f"Operation {operation.operation_id} is {operation.stage}, so this can no longer happen to it.",
            hint="get_operation says what became of it.",
        )


def _of(mode: Mode, account_id: AccountId) -> tuple[Any, Any]:
    return operations.c.mode == mode.value, operations.c.account_id == account_id
