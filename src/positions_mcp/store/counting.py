"""How often a caller has asked for something in an account: by an index, however much else is stored."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Protocol

from sqlalchemy import JSON, ColumnElement, Connection, Integer, cast, func, select, type_coerce

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.search import CallerActivity
from positions_mcp.domain.operation.servers import EVENTS, shown_by, still_shown
from positions_mcp.domain.operation.states import Stage
from positions_mcp.ports import Ledger, Rationing
from positions_mcp.store import records
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.schema import as_text, journal, operations, servers

_NTH_LATEST = (
    select(operations.c.counted_at)
    .where(
        operations.c.mode == given("mode"),
        operations.c.account_id == given("account_id"),
        operations.c.counted_at > given("since"),
        operations.c.caller == given("caller"),
    )
    .order_by(operations.c.counted_at.desc())
    .offset(given("before", Integer()))
    .limit(1)
)
_ASKED_BY_FORM = Compiled(
    select(journal.c.operation_id, journal.c.event, journal.c.content)
    .join(operations, journal.c.operation_id == operations.c.id)
    .where(
        operations.c.stage == Stage.AWAITING_APPROVAL.value,
        operations.c.mode == given("mode"),
        operations.c.caller == given("caller"),
        operations.c.due_at > given("now"),
        journal.c.event.in_(EVENTS),
    )
    .order_by(journal.c.sequence)
)
_ALIVE = Compiled(select(servers.c.process).where(servers.c.until >= given("now")))


def nth_latest(
    connection: Connection, *, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
) -> datetime | None:
    """When the `nth` latest of those that count after `since` was asked for; None where fewer were."""
    asked = {"mode": mode.value, "account_id": account_id, "since": as_text(since), "caller": caller}
    found = connection.execute(_NTH_LATEST, asked | {"before": nth - 1}).scalar_one_or_none()
    return None if found is None else datetime.fromisoformat(found)


class Counting(Ledger, Protocol):
    """What a transaction knows of an operation that it has read."""

    def counts_already(self, operation: Operation) -> bool:
        """Whether it counts for its caller."""


def begin(ledger: Counting, operation: Operation, now: datetime, ration: Rationing | None) -> datetime | None:
    """From when an operation counts for its caller, which `ration` may refuse; None where it does already."""
    if ledger.counts_already(operation):
        return None
    if ration is not None:
        ration(ledger, operation)
    return now


def by_caller(connection: Connection, mode: Mode, account_id: AccountId, since: datetime) -> tuple[CallerActivity, ...]:
    """What each caller has asked for in an account after `since`, and what came of it; by an index, by caller."""
    counted = (
        operations.c.mode == mode.value,
        operations.c.account_id == account_id,
        operations.c.counted_at > as_text(since),
    )
    found: dict[str, list[Operation]] = {}
    for operation in records.select_operations(connection, *counted):
        found.setdefault(operation.plan.caller, []).append(operation)
    return tuple(CallerActivity.of(account_id, caller, found[caller]) for caller in sorted(found))


def of_plan(connection: Connection, name: str) -> ColumnElement[str]:
    """A text in the stored plan, by its name, for a statement."""
    return _of_plan(connection.dialect.name, name)


def _of_plan(dialect: str, name: str) -> ColumnElement[str]:
    document = type_coerce(operations.c.plan, JSON) if dialect == "sqlite" else cast(operations.c.plan, JSON)
    text: ColumnElement[str] = document[name].as_string()
    return text


def open_plans(connection: Connection, mode: Mode, now: datetime) -> dict[str, int]:
    """How many plans nobody has decided yet, by caller."""
    found = _open_plans(connection.dialect.name).all(connection, now=as_text(now), mode=mode.value)
    return {caller: int(plans) for caller, plans in found}


@cache
def _open_plans(dialect: str) -> Compiled:
    # Plans of 0.1.0 name their caller only within.
    caller = func.coalesce(operations.c.caller, _of_plan(dialect, "caller")).label("caller")
    is_open = operations.c.due_at > given("now"), operations.c.stage.in_(records.OPEN)
    open_ones = select(caller).where(*is_open, operations.c.mode == given("mode")).subquery()
    return Compiled(select(open_ones.c.caller, func.count()).group_by(open_ones.c.caller))


def open_forms(
    connection: Connection, mode: Mode, caller: str, now: datetime, *, asking: str = ""
) -> dict[str, frozenset[str]]:
    """The undecided operations of a caller whose question is open in a form, the first one asked first.

    With each the servers that show it: a form ends with its server, unless any of the store takes its answer.
    """
    told: dict[str, list[tuple[str, dict[str, object]]]] = {}
    for key, event, content in _ASKED_BY_FORM.all(connection, mode=mode.value, caller=caller, now=as_text(now)):
        told.setdefault(key, []).append((event, json.loads(content)))
    shown = {operation_id: by for operation_id, events in told.items() if (by := shown_by(events))}
    ends_with_server = any(each for by in shown.values() for each in by)
    alive = [each for (each,) in _ALIVE.all(connection, now=as_text(now))] if ends_with_server else []
    alive.append(asking)
    return {operation_id: by for operation_id, each in shown.items() if (by := still_shown(each, alive))}
