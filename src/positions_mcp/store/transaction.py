"""One write: what it may rely on, and how a change and its journal entry become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from positions_mcp.domain.errors import Overtaken, PositionsError
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.store import counting, deciders, journal, keeping, locks, records, standings
from positions_mcp.store.compiled import asking_ahead
from positions_mcp.store.instants import instant
from positions_mcp.store.journal import COMMON, Entry, Head, last_digest_of_value
from positions_mcp.store.known import APPROVER_SET, ROSTER_SET, VALUE_EVENTS, Known
from positions_mcp.store.pending import Pending
from positions_mcp.store.schema import as_text
from positions_mcp.store.stored import READ, Stored
from positions_mcp.store.tallies import Tallies

SENDING = "sending"
"""The event that makes rows SENDING."""
_HALTS = TypeAdapter(tuple[Halt, ...])


class Transaction:
    """Implements `positions_mcp.ports.Ledger` on what one view shows.

    Where it writes, nobody else writes about the same account meanwhile, and what it adds to the journal is written at
    its end.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        known: Known | None = None,
        stand: locks.CurrentState | None = None,
        reach: Callable[[str], Head] | None = None,
    ) -> None:
        self._connection = connection
        self._known = known
        """What the common chain says; None where it was not walked, and is asked."""
        self._values = stand.values if stand else None
        self._reach = reach
        self._heads: dict[str, Head] = {}
        self.written: list[Entry] = []
        """The entries that it adds to the journal."""
        self.refusal: PositionsError | None = None
        """Why only the first part of it was done: raised once that is written."""
        self._numbers = list(stand.numbers) if stand else []
        self._operations = Pending(connection)
        self._of_account: tuple[Any, Sequence[tuple[Stored, Operation]]] = (None, ())
        self._used: dict[tuple[Mode, AccountId, date], Decimal] = {}
        self._beside = dict(stand.beside) if stand else {}

    @property
    def connection(self) -> Connection:
        """What it works on; all that has changed of operations by now shows there."""
        return self._operations.written()

    def beside(self, key: str) -> str | None:
        """A value that stands beside the journal, or None."""
        if key not in self._beside:
            self._beside[key] = keeping.get(self._connection, key)
        return self._beside[key]

    def keep_beside(self, key: str, value: str | None) -> None:
        """Set it; None removes it."""
        if self.beside(key) != value:
            keeping.put(self._connection, key, value)
            self._beside[key] = value

    def at(self, now: datetime) -> datetime:
        """What decides about leases and expiry: the clock that all machines share, else the caller's `now`."""
        return instant(self._connection, now)

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
        asked = mode, account_id, day
        if asked not in self._used:
            self._used[asked] = records.used_on(self._operations.written_where(records.reserved), *asked)
        return self._used[asked]

    def unfinished(self, mode: Mode, account_id: AccountId) -> tuple[Operation, ...]:
        """Operations of the account that may still change its book, oldest first."""
        account, found = self._of_account
        if account == (mode, account_id):
            return tuple(operation for stored, operation in found if stored.columns["unfinished"])
        return records.UNFINISHED.read(self.connection, mode=mode.value, account_id=account_id)

    def sent_after_planning(self, operation_id: str) -> tuple[Operation, ...]:
        """Other operations of the account that sent something after this one was planned, by the journal's order."""
        mine, (account, found) = self._operations.stored.get(operation_id), self._of_account
        if mine is not None and account == (mine.columns["mode"], mine.columns["account_id"]):
            planned = mine.columns["planned_entry"]
            after = (each for each in found if (each[0].columns["sent_entry"] or 0) > planned)
            return tuple(operation for _, operation in after if operation.operation_id != operation_id)
        return records.SENT_AFTER.read(self.connection, id=operation_id)

    def declined_since(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[Operation, ...]:
        """Operations of the account that a person said no to after an instant, oldest first."""
        said = {"mode": mode.value, "account_id": account_id, "since": as_text(since)}
        return records.DECLINED_SINCE.read(self.connection, **said)

    def declined_at(self, target_key: str) -> datetime | None:
        """When a set of targets was last declined, or None."""
        found = records.DECLINED_AT.first(self.connection, key=target_key)
        return datetime.fromisoformat(found[0]) if found and found[0] else None

    def expect_others(self, operation: Operation) -> None:
        """Raise StoreUnavailable unless all that may bear on an operation is as it was written, and keep it at hand.

        That is what may still change the account's book, and what was sent there since the operation was planned.
        """
        mode, account_id = operation.plan.mode, operation.account_id
        mine = self.stored(operation)
        asked = {"mode": mode.value, "account_id": account_id, "planned": mine.columns["planned_entry"]}
        shown = self._operations.written_where(lambda each: None if each.operation_id == mine.operation_id else each)
        others = records.NOTED_OTHERS.stored(shown, **asked, beside=mine.operation_id)
        found = [(each, self._expected(each)) for each in others]
        found += [(mine, operation)] if mine.columns["unfinished"] else []
        self._of_account = (mode, account_id), sorted(found, key=lambda each: str(each[0].columns["created_at"]))

    def open_plans(self, mode: Mode, now: datetime) -> Mapping[str, int]:
        """How many plans nobody has decided yet, by caller; those that have expired by `now` are over.

        Of all accounts: from here on until this transaction ends no other one adds a plan.
        """
        if self._reach is not None:
            locks.lock_plans(self.connection)
        return counting.open_plans(self.connection, mode, now)

    def open_forms(self, mode: Mode, caller: str, now: datetime, *, asking: str = "") -> Mapping[str, frozenset[str]]:
        """The undecided operations of a caller whose question is open in a form; until the end nobody adds one."""
        if self._reach is not None:
            locks.lock_caller(self._connection, caller)
        asked = self._operations.written_where(lambda each: each.columns["stage"] == Stage.AWAITING_APPROVAL or None)
        return counting.open_forms(asked, mode, caller, now, asking=asking)

    def counted_since(
        self, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
    ) -> datetime | None:
        """When the `nth` latest operation that counts for a caller in an account was asked for; None where fewer were.

        Only those asked for after `since` are looked at.
        """
        counted = self._operations.written_where(lambda each: each.columns["counted_at"])
        return counting.nth_latest(counted, mode=mode, account_id=account_id, caller=caller, since=since, nth=nth)

    def standing(self, mandate_id: str) -> Standing:
        """A mandate and its uses, which are as the journal says. Raises InvalidInput, StoreUnavailable."""
        tallies = self._known.tallies if self._known else Tallies()
        # What it has changed itself is said in the journal at its end.
        return standings.checked(self.connection, tallies, mandate_id, seen=self._operations.stored)

    def operation(self, operation_id: str) -> Operation:
        """An operation that is as its last journal entry left it.

        Raises:
            InvalidInput: there is none of that id.
            StoreUnavailable: it was altered outside of the program.
        """
        if (mine := self._operations.stored.get(operation_id)) is not None:
            return mine.read()
        found = next(records.NOTED.stored(self._connection, id=operation_id), None)
        if found is None:
            raise records.unknown(operation_id)
        self._head(journal.chain_of(Mode(found.columns["mode"]), found.columns["account_id"]))
        return self._expected(found)

    def stored(self, operation: Operation) -> Stored:
        """How an operation stands in the tables, which is as its last journal entry left it."""
        if operation.operation_id not in self._operations.stored:
            self.operation(operation.operation_id)
        return self._operations.stored[operation.operation_id]

    def counts_already(self, operation: Operation) -> bool:
        return self.stored(operation).columns["counted_at"] is not None

    def _expected(self, found: Stored) -> Operation:
        """Raise StoreUnavailable unless the tables hold what the journal says was written."""
        standings.expect_as_noted(self._connection, found, walked_from=self._known.floor if self._known else 0)
        self._operations.found(found)
        return found.read()

    def add(self, operation: Operation, request_key: str, content: dict[str, Any]) -> Operation:
        """Store a new operation and say so in the journal."""
        stored = records.added(operation, request_key, self._next_number())
        return self._keep(operation, stored, "plan made", content)

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
        stored = records.changed(
            self.stored(operation),
            changed,
            rows,
            sent_entry=self._next_number() if event == SENDING else None,
            counted_at=counted_at,
        )
        told = {**(content or {}), "stage": changed.stage.value}
        if rows:
            told["rows"] = [row.model_dump(mode="json", exclude_defaults=True) for row in rows]
        return self._keep(changed, stored, event, told)

    def single(self, key: str) -> str | None:
        """A single value that is as its last journal entry left it. Raises StoreUnavailable where it was altered."""
        value = keeping.get(self._connection, key) if self._values is None else self._values.get(key)
        noted = self._known.digest(key) if self._known else last_digest_of_value(self._connection, VALUE_EVENTS[key])
        if noted != (None if value is None and noted is None else journal.digest_of(value)):
            raise journal.broken(f"the {key} is not as it was written")
        return value

    def rosters(self) -> RosterChain:
        """Everybody who ever could decide. Raises StoreUnavailable where a roster was not signed by who may."""
        told = self._known.told if self._known else journal.contents(self._connection, (APPROVER_SET, ROSTER_SET))
        values = self.single("approver"), self.single("roster")
        return deciders.chain_of(tuple(told[APPROVER_SET]), tuple(told[ROSTER_SET]), *values)

    def approved_by(self, name: str, mode: Mode, account_id: AccountId, day: date, *, beside: str) -> Decimal:
        """Dollars sent on somebody's word on a New York day, or being sent, beside those of one operation."""
        return deciders.approved_by(self.connection, name, mode, account_id, day, beside=beside)

    def first_yes(self, operation_id: str) -> SignedStatement | None:
        """What the first of two people has signed of an operation; None where nobody has."""
        return deciders.first_yes(self.connection, operation_id)

    def note(self, event: str, key: str, value: str | None, now: datetime, content: dict[str, Any]) -> None:
        """Set a single value and say so in the journal. It is set once a transaction."""
        keeping.put(self._connection, key, value)
        self._append(COMMON, event, {**content, "key": key}, now, digest=journal.digest_of(value))

    def count(self, event: str, operation_id: str | None, *, since: datetime | None = None) -> int:
        """How many entries with that event an operation has, or those of none; those after `since`."""
        return journal.count(self._connection, event, operation_id, after=since)

    def append_alone(self, event: str, content: dict[str, Any], now: datetime) -> None:
        """Add an entry that is about no operation and sets no value."""
        self._append(COMMON, event, content, now)

    def append(self, operation: Operation, event: str, content: dict[str, Any], now: datetime) -> None:
        """Add an entry about an operation that is as it was."""
        chain = journal.chain_of(operation.plan.mode, operation.account_id)
        about = operation.operation_id
        self._append(chain, event, content, now, about=about, digest=self.stored(operation).digest)

    def _keep(self, operation: Operation, stored: Stored, event: str, content: dict[str, Any]) -> Operation:
        """An operation as it now stands, and the entry that says so."""
        digest = stored.digest
        self._operations.change(stored)
        self._of_account, self._used = (None, ()), {}
        chain = journal.chain_of(operation.plan.mode, operation.account_id)
        self._append(chain, event, content, operation.updated_at, about=operation.operation_id, digest=digest)
        return READ.keep(digest, operation)

    def _append(
        self,
        chain: str,
        event: str,
        content: dict[str, Any],
        at: datetime,
        *,
        about: str | None = None,
        digest: str | None = None,
    ) -> None:
        head, number = self._head(chain), self._next_number()
        self._numbers.remove(number)
        entry = journal.written(
            chain, head, number, at=at, event=event, operation_id=about, content=content, state_digest=digest
        )
        self._heads[chain] = Head(number, entry.hash, head.entries + 1)
        self.written.append(entry)

    def _next_number(self) -> int:
        if not self._numbers:
            last = self.written[-1].sequence if self.written else 0
            self._numbers.append(max(journal.next_number(self._connection), last + 1))
        return self._numbers[0]

    def _head(self, chain: str) -> Head:
        """Where a chain ends, which is walked and nobody else adds to."""
        if chain not in self._heads:
            if self._reach is None:
                raise RuntimeError("a view adds nothing to the journal")
            self._heads[chain] = self._reach(chain)
        return self._heads[chain]

    def finish(self) -> None:
        """Write what it adds to the journal, and where chains then end."""
        if not self.written:
            return
        with asking_ahead(self._connection):
            connection = self._operations.written()
            journal.insert_entries(connection, self.written)
            for chain in {entry.chain for entry in self.written}:
                locks.keep_head(connection, chain, self._heads[chain])
