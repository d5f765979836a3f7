"""The operation store: implements `positions_mcp.ports.OperationStore` over either database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import select

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Reservation, Row
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.search import CallerActivity, Found, Search
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt, JournalEntry, Verification
from positions_mcp.ports import Ending, Permitting, Rationing, Refusing, Signing, Taking
from positions_mcp.store import changes, counting, expiring, journal, locks, records, searching, sending, verifying
from positions_mcp.store.asked import StoredCallers
from positions_mcp.store.bindings import StoreBindings
from positions_mcp.store.deciding import Deciders
from positions_mcp.store.feed import StoredFeed
from positions_mcp.store.journal import COMMON
from positions_mcp.store.listings import StoredListings
from positions_mcp.store.mandating import StoredMandates
from positions_mcp.store.schema import as_text, operations
from positions_mcp.store.schema import journal as journal_table
from positions_mcp.store.sealing import Sealing
from positions_mcp.store.servers import StoredServers
from positions_mcp.store.sessions import StoredSessions
from positions_mcp.store.transaction import Transaction
from positions_mcp.store.withdrawals import Withdrawals


class SqlOperationStore(
    StoredServers,
    StoreBindings,
    Sealing,
    StoredMandates,
    Withdrawals,
    Deciders,
    StoredCallers,
    StoredListings,
    StoredSessions,
    StoredFeed,
):
    """Durable operations in one SQLite file or one PostgreSQL database. Safe for threads and for several processes."""

    def verify(self) -> Verification:
        """Walk the whole journal and compare what it describes. Raises StoreUnavailable for what is newer than this."""
        if self._newer:
            raise self._too_new()
        with self._reading() as connection:
            return verifying.verify(connection)

    def journal(self, operation_id: str | None = None, *, limit: int = 1000) -> tuple[JournalEntry, ...]:
        wanted = select(journal_table).order_by(journal_table.c.sequence.desc()).limit(limit)
        if operation_id is not None:
            wanted = wanted.where(journal_table.c.operation_id == operation_id)
        with self._reading() as connection:
            return tuple(journal.read(row) for row in reversed(connection.execute(wanted).all()))

    def operation(self, operation_id: str) -> Operation | None:
        with self._reading() as connection:
            return next(iter(records.BY_ID.read(connection, id=operation_id)), None)

    def operations(self, *, account_id: AccountId | None = None, limit: int = 50) -> tuple[Operation, ...]:
        where = () if account_id is None else (operations.c.account_id == account_id,)
        with self._reading() as connection:
            return records.select_operations(connection, *where, limit=limit, newest_first=True)

    def waiting(self, now: datetime, limit: int) -> tuple[Operation, ...]:
        return self._selected(records.WAITING, now=as_text(now), most=limit)

    def search(self, wanted: Search, now: datetime, *, after: str = "", limit: int) -> Found:
        with self._reading() as connection:
            return searching.search(connection, wanted, now, after=after, limit=limit)

    def in_stages(self, stages: Sequence[Stage], limit: int) -> tuple[Operation, ...]:
        return self._selected(records.in_stages(tuple(stages), limit))

    def latest(self, request_key: str) -> Operation | None:
        return next(iter(self._selected(records.LATEST, key=request_key)), None)

    def declined_at(self, target_key: str) -> datetime | None:
        with self._reading(at_once=False) as connection:
            return Transaction(connection).declined_at(target_key)

    def halts(self) -> tuple[Halt, ...]:
        with self._viewing() as view:
            return view.halts()

    def used(self, mode: Mode, account_id: AccountId, day: date) -> Decimal:
        with self._reading() as connection:
            return records.used_on(connection, mode, account_id, day)

    def unfinished(self, mode: Mode, account_id: AccountId) -> tuple[Operation, ...]:
        with self._reading() as connection:
            return Transaction(connection).unfinished(mode, account_id)

    def sent_after_planning(self, operation_id: str) -> tuple[Operation, ...]:
        return self._selected(records.SENT_AFTER, id=operation_id)

    def open_plans(self, mode: Mode, now: datetime) -> Mapping[str, int]:
        with self._reading() as connection:
            return Transaction(connection).open_plans(mode, now)

    def add_plan(
        self,
        plan: Plan,
        request_key: str,
        now: datetime,
        *,
        supersede: str | None = None,
        check: Refusing | None = None,
        ask: Rationing | None = None,
        content: Mapping[str, str] | None = None,
    ) -> Operation:
        chain = journal.chain_of(plan.mode, plan.account_id)
        with self._writing(chain, entries=1 if ask is None else 2) as transaction:
            add = partial(changes.add_plan, transaction, plan, request_key, transaction.at(now))
            made = add(supersede=supersede, check=check, ask=ask, content=content or {})
        self._remember(made.operation_id, chain)
        return made

    def by_caller(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[CallerActivity, ...]:
        with self._reading() as connection:
            return counting.by_caller(connection, mode, account_id, since)

    def counted_since(
        self, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
    ) -> datetime | None:
        with self._reading() as connection:
            return Transaction(connection).counted_since(mode, account_id, caller, since, nth)

    def move(
        self,
        operation_id: str,
        *,
        expected: Sequence[Stage],
        to: Stage,
        reason: str,
        now: datetime,
        ration: Rationing | None = None,
        content: Mapping[str, str] | None = None,
    ) -> Operation:
        """Change the stage before anything is sent; what is asked for counts for its caller."""

        def work(change: Transaction) -> Operation:
            operation, told = change.operation(operation_id), content or {}
            changes.expect(operation, expected)
            return changes.move(change, operation, to=to, reason=reason, now=now, ration=ration, content=told)

        return self._change(operation_id, work)

    def decide(self, decision: Decision, now: datetime) -> Operation:
        return self._change(
            decision.operation_id, lambda transaction: changes.decide(transaction, decision, transaction.at(now))
        )

    def note(self, event: str, operation_id: str | None, content: dict[str, str], now: datetime) -> None:
        """Write down what happened, about an operation or none, without changing it."""

        def write(transaction: Transaction) -> None:
            changes.note(transaction, event, operation_id, content, now)

        if operation_id is None:
            self._change_in(COMMON, write)
        else:
            self._change(operation_id, write)

    def claim(
        self,
        operation_id: str,
        lease: Lease,
        now: datetime,
        *,
        check: Permitting,
        ration: Rationing | None = None,
    ) -> Operation:
        return self._change(
            operation_id,
            lambda change: changes.claim(change, operation_id, lease, change.at(now), check=check, ration=ration),
        )

    def begin(
        self,
        operation_id: str,
        lease: Lease,
        *,
        reserving: Mapping[int, Reservation],
        now: datetime,
        market_now: datetime,
        check: Refusing,
        taking: Taking | None = None,
        outcome: Sequence[Row] = (),
    ) -> Operation:
        """Make rows SENDING and reserve their notional, durably, before their request leaves."""

        def work(change: Transaction) -> Operation:
            begin = partial(sending.begin, change, operation_id, lease, reserving=reserving, now=change.at(now))
            begin = partial(begin, market_now=market_now, check=check, taking=taking)
            return sending.after(change, operation_id, lease.token, outcome, change.at(now), then=begin)

        return self._change(operation_id, work, entries=1 + bool(outcome) + 2 * (taking is not None))

    def record(
        self,
        operation_id: str,
        token: str,
        rows: Sequence[Row],
        now: datetime,
        *,
        halt_after: int | None,
        ending: Ending | None = None,
    ) -> Operation:
        return self._change(
            operation_id,
            lambda change: sending.record(change, operation_id, token, rows, now, halt_after=halt_after, ending=ending),
            entries=1 + (ending is not None),
        )

    def finish(
        self,
        operation_id: str,
        token: str,
        *,
        stage: Stage,
        reason: str,
        rows: Sequence[Row],
        now: datetime,
        decided: Decision | None = None,
    ) -> Operation:
        ending = Ending(token, stage, reason, rows)
        return self._change(
            operation_id, lambda change: sending.finish(change, operation_id, ending, now, decided=decided)
        )

    def observe(
        self,
        before: Operation,
        rows: Sequence[Row],
        now: datetime,
        *,
        event: str,
        signed: Signing | None = None,
    ) -> Operation:
        return self._change(
            before.operation_id,
            lambda change: changes.observe(change, before, rows, now, event=event, signed=signed),
        )

    def expire(self, now: datetime, *, halt_after: int | None = None) -> tuple[Operation, ...]:
        """Write down what time has decided: expired plans, lapsed approvals, leases that ran out.

        So many at once that a person who halts does not wait for it; what is left is written by the next calls.
        An account that somebody else is writing about, or holds while it is frozen, is left to the next call.
        """
        with self._reading(at_once=False) as connection:
            due = expiring.due(connection, now)
        return tuple(
            operation
            for chain, ids in due.items()
            if self._is_free(chain)
            for operation in self._change_in(chain, partial(expiring.expire, ids=ids, now=now, halt_after=halt_after))
        )

    def _is_free(self, chain: str) -> bool:
        """Whether nobody writes about an account at this moment."""
        if self._database.is_sqlite:
            return True  # who writes holds the file, and not for long
        with self._database.writing() as connection:
            return not self._turns[chain].locked() and locks.is_free(connection, chain)

    def set_halt(self, halt: Halt) -> Halt:
        with self._writing() as transaction:
            return changes.set_halt(transaction, halt)

    def clear_halts(self, by: str, now: datetime, *, expected: Sequence[Halt], signed: Signing | None = None) -> None:
        with self._writing() as transaction:
            changes.clear_halts(transaction, by, now, expected=expected, signed=signed)
