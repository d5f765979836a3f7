"""How often a caller has asked for something in an account: by an index, however much else is stored."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Protocol

from sqlalchemy import JSON, ColumnElement, Connection, cast, func, select, type_coerce

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation import asking
from positions_mcp.domain.operation.doings import Doings
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import Stage
from positions_mcp.ports import Ledger, Rationing
from positions_mcp.store import records
from positions_mcp.store.schema import as_text, journal, operations

_OPEN = [stage.value for stage in Stage if stage.is_open]


def nth_latest(
    connection: Connection, *, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
) -> datetime | None:
    """When the `nth` latest of those that count after `since` was asked for; None where fewer were."""
    wanted = (
        select(operations.c.counted_at)
        .where(
            operations.c.mode == mode.value,
            operations.c.account_id == account_id,
            operations.c.counted_at > as_text(since),
            operations.c.caller == caller,
        )
        .order_by(operations.c.counted_at.desc())
        .offset(nth - 1)
        .limit(1)
    )
    found = connection.execute(wanted).scalar_one_or_none()
    return None if found is None else datetime.fromisoformat(found)


class Counting(Ledger, Protocol):
    """What a transaction knows of an operation that it has read."""

    def counts_already(self, operation: Operation) -> bool:
        """Whether it counts for its caller."""
        ...


def begin(ledger: Counting, operation: Operation, now: datetime, ration: Rationing | None) -> datetime | None:
    """From when an operation counts for its caller, which `ration` may refuse; None where it does already."""
    if ledger.counts_already(operation):
        return None
    if ration is not None:
        ration(ledger, operation)
    return now


def by_caller(connection: Connection, mode: Mode, account_id: AccountId, since: datetime) -> tuple[Doings, ...]:
    """What each caller has asked for in an account after `since`, and what came of it; by an index, by caller."""
    counted = (
        operations.c.mode == mode.value,
        operations.c.account_id == account_id,
        operations.c.counted_at > as_text(since),
    )
    found: dict[str, list[Operation]] = {}
    for operation in records.select_operations(connection, *counted):
        found.setdefault(operation.plan.caller, []).append(operation)
    return tuple(Doings.of(account_id, caller, found[caller]) for caller in sorted(found))


def of_plan(connection: Connection, name: str) -> ColumnElement[str]:
    """A text in the stored plan, by its name, for a statement."""
    is_sqlite = connection.dialect.name == "sqlite"
    document = type_coerce(operations.c.plan, JSON) if is_sqlite else cast(operations.c.plan, JSON)
    text: ColumnElement[str] = document[name].as_string()
    return text


def open_plans(connection: Connection, mode: Mode, now: datetime) -> dict[str, int]:
    """How many plans nobody has decided yet, by caller."""
    open_ones = (
        select(of_plan(connection, "caller").label("caller"))
        .where(operations.c.due_at > as_text(now), operations.c.mode == mode.value, operations.c.stage.in_(_OPEN))
        .subquery()
    )
    counted = select(open_ones.c.caller, func.count().label("plans")).group_by(open_ones.c.caller)
    return {found.caller: found.plans for found in connection.execute(counted)}


def open_forms(connection: Connection, mode: Mode, caller: str, now: datetime) -> tuple[str, ...]:
    """The undecided operations of a caller whose question is open in a form, the first one asked first."""
    wanted = (
        select(journal.c.operation_id, journal.c.event, journal.c.content)
        .join(operations, journal.c.operation_id == operations.c.id)
        .where(
            operations.c.stage == Stage.AWAITING_APPROVAL.value,
            operations.c.mode == mode.value,
            operations.c.caller == caller,
            operations.c.due_at > as_text(now),
            journal.c.event.in_(asking.EVENTS),
        )
        .order_by(journal.c.sequence)
    )
    told: dict[str, list[tuple[str, dict[str, object]]]] = {}
    for row in connection.execute(wanted):
        told.setdefault(row.operation_id, []).append((row.event, json.loads(row.content)))
    return tuple(operation_id for operation_id, events in told.items() if asking.is_open(events))
