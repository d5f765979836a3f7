"""Operations as rows of the tables, and back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    RowMapping,
    cast,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store.journal import digest_of
from positions_mcp.store.schema import as_text, decisions, operations, rows

CHUNK = 500
"""How many operations are read at once: a statement takes so many ids and no more."""
_DAMAGED = "Nothing is sent until a person has looked. Run: positions-mcp operations verify."
_OF_THE_FUTURE = {"extra_forbidden", "enum", "literal_error", "union_tag_invalid"}
"""The mistakes that fields and values of a later release are to an earlier one."""
_ADDED = {column.name for column in operations.c if "added" in column.info}
_OPEN = [stage.value for stage in Stage if stage.is_open]
_COUNTED = ("position", "mode", "account_id", "reserved", "reserved_on")


@dataclass(frozen=True, slots=True)
class Stored:
    """One operation as it stands in the tables."""

    columns: RowMapping
    rows: Sequence[RowMapping]
    decision: str | None

    @property
    def operation_id(self) -> str:
        """Its id."""
        return str(self.columns["id"])

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is stored of it. What came after its release and is not set is not part of it."""
        columns = {name: value for name, value in self.columns.items() if name not in _ADDED or value is not None}
        columns["unfinished"] = bool(columns["unfinished"])
        content = {
            "plan": json.loads(columns["plan"]),
            "stage": columns["stage"],
            "reason": columns["reason"],
            "rows": [json.loads(row["content"]) for row in self.rows],
            "decision": json.loads(self.decision) if self.decision else None,
            "lease": json.loads(columns["lease"]) if columns["lease"] else None,
            "updated_at": datetime.fromisoformat(columns["updated_at"]).isoformat().replace("+00:00", "Z"),
        }
        counted = [[row[name] for name in _COUNTED] for row in self.rows]
        return digest_of([content, columns, counted])

    def read(self) -> Operation:
        """The operation. Raises StoreUnavailable where the tables do not hold one."""
        columns = self.columns
        try:
            return Operation.model_validate(
                {
                    "plan": json.loads(columns["plan"]),
                    "stage": columns["stage"],
                    "reason": columns["reason"],
                    "rows": [json.loads(row["content"]) for row in self.rows],
                    "decision": json.loads(self.decision) if self.decision else None,
                    "lease": json.loads(columns["lease"]) if columns["lease"] else None,
                    "updated_at": columns["updated_at"],
                }
            )
        except ValidationError as error:
            if {mistake["type"] for mistake in error.errors(include_url=False)} <= _OF_THE_FUTURE:
                raise StoreUnavailable(
                    f"Operation {self.operation_id} was written by a newer positions-mcp, or altered.",
                    hint="Use the newest positions-mcp that has worked on this store.",
                ) from error
            raise self._damaged() from error
        except (ValueError, TypeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> StoreUnavailable:
        return StoreUnavailable(f"Operation {self.operation_id!r:.80} is damaged in the store.", hint=_DAMAGED)


def select_stored(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = False
) -> Iterator[Stored]:
    """Operations that match, in the order they were planned, as they stand in the tables."""
    order = (operations.c.created_at.desc(), operations.c.id) if newest_first else (operations.c.created_at,)
    found = connection.execute(select(operations).where(*where).order_by(*order).limit(limit)).mappings().all()
    for start in range(0, len(found), CHUNK):
        yield from with_rows(connection, found[start : start + CHUNK])


def with_rows(connection: Connection, found: Sequence[RowMapping]) -> Iterator[Stored]:
    """Operations with their rows and decisions. At most `CHUNK` at once: each id is bound to the statements."""
    ids = [row["id"] for row in found]
    of_each: dict[str, list[RowMapping]] = defaultdict(list)
    by_place = select(rows).where(rows.c.operation_id.in_(ids)).order_by(rows.c.operation_id, rows.c.position)
    for row in connection.execute(by_place).mappings():
        of_each[row["operation_id"]].append(row)
    of_these = select(decisions).where(decisions.c.operation_id.in_(ids))
    texts = {row.operation_id: row.content for row in connection.execute(of_these)}
    for row in found:
        yield Stored(row, of_each[row["id"]], texts.get(row["id"]))


def select_operations(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = False
) -> tuple[Operation, ...]:
    """Operations that match, with rows and decisions, in the order they were planned."""
    stored = select_stored(connection, *where, limit=limit, newest_first=newest_first)
    return tuple(each.read() for each in stored)


def select_waiting(connection: Connection, now: datetime, limit: int) -> tuple[Operation, ...]:
    """Plans that may still be decided at `now`, nearest expiry first."""
    wanted = (
        select(operations)
        .where(operations.c.due_at > as_text(now), operations.c.stage.in_(_OPEN))
        .order_by(operations.c.due_at, operations.c.id)
        .limit(limit)
    )
    found = connection.execute(wanted).mappings().all()
    some = (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))
    return tuple(each.read() for chunk in some for each in with_rows(connection, chunk))


def select_operation(connection: Connection, operation_id: str) -> Operation | None:
    """One operation, or None."""
    found = select_operations(connection, operations.c.id == operation_id)
    return found[0] if found else None


def of_plan(connection: Connection, name: str) -> ColumnElement[str]:
    """A text in the stored plan, by its name, for a statement."""
    is_sqlite = connection.dialect.name == "sqlite"
    document = type_coerce(operations.c.plan, JSON) if is_sqlite else cast(operations.c.plan, JSON)
    text: ColumnElement[str] = document[name].as_string()
    return text


def count_open_plans(connection: Connection, mode: Mode, now: datetime) -> dict[str, int]:
    """How many plans nobody has decided yet, by caller."""
    open_ones = (
        select(of_plan(connection, "caller").label("caller"))
        .where(operations.c.due_at > as_text(now), operations.c.mode == mode.value, operations.c.stage.in_(_OPEN))
        .subquery()
    )
    counted = select(open_ones.c.caller, func.count().label("plans")).group_by(open_ones.c.caller)
    return {found.caller: found.plans for found in connection.execute(counted)}


def insert_operation(connection: Connection, operation: Operation, request_key: str, planned_entry: int) -> None:
    """Store a new operation."""
    plan = operation.plan
    connection.execute(
        insert(operations).values(
            id=plan.plan_id,
            request_key=request_key,
            created_at=as_text(plan.created_at),
            planned_entry=planned_entry,
            caller=plan.caller,
            **_columns(operation),
        )
    )
    _write_rows(connection, operation)


def update_operation(
    connection: Connection, operation: Operation, *, sent_entry: int | None = None, counted_at: datetime | None = None
) -> None:
    """Store a changed operation: its stage, rows and decision. `sent_entry` and `counted_at` are noted where given."""
    values = _columns(operation)
    if sent_entry is not None:
        values["sent_entry"] = sent_entry
    if counted_at is not None:
        values["counted_at"] = as_text(counted_at)
    connection.execute(update(operations).where(operations.c.id == operation.operation_id).values(**values))
    connection.execute(delete(rows).where(rows.c.operation_id == operation.operation_id))
    _write_rows(connection, operation)
    if operation.decision is not None:
        connection.execute(delete(decisions).where(decisions.c.operation_id == operation.operation_id))
        content = operation.decision.canonical.decode()
        connection.execute(insert(decisions).values(operation_id=operation.operation_id, content=content))


def state_digest(connection: Connection, operation_id: str) -> str | None:
    """SHA-256 of everything stored about an operation, as it stands in the tables; None where nothing is."""
    for stored in select_stored(connection, operations.c.id == operation_id):
        return stored.digest
    return None


def used_on(connection: Connection, mode: Mode, account_id: AccountId, day: date) -> Decimal:
    """Dollars reserved on a day."""
    wanted = select(rows.c.reserved).where(
        rows.c.mode == mode, rows.c.account_id == account_id, rows.c.reserved_on == day.isoformat()
    )
    return exact_sum(Decimal(text) for text in connection.execute(wanted).scalars())


def due_at(operation: Operation) -> datetime | None:
    """When time alone changes the operation, or None."""
    if operation.stage.is_open:
        return operation.plan.expires_at
    if operation.stage is Stage.APPROVED and operation.decision:
        return operation.decision.expires_at
    return operation.lease.until if operation.lease else None


def _columns(operation: Operation) -> dict[str, Any]:
    plan, due = operation.plan, due_at(operation)
    lease = operation.lease
    return {
        "mode": plan.mode.value,
        "account_id": plan.account_id,
        "target_key": plan.target_key,
        "stage": operation.stage.value,
        "updated_at": as_text(operation.updated_at),
        "due_at": as_text(due) if due else None,
        "unfinished": any(row.is_unfinished for row in operation.rows),
        "plan": plan.canonical.decode(),
        "reason": operation.reason,
        "lease": lease.canonical.decode() if lease else None,
    }


def _write_rows(connection: Connection, operation: Operation) -> None:
    values = [
        {
            "operation_id": operation.operation_id,
            "position": row.position,
            "mode": operation.plan.mode.value,
            "account_id": operation.account_id,
            "reserved": str(row.reserved),
            "reserved_on": row.reserved_on.isoformat() if row.reserved_on else None,
            "content": row.canonical.decode(),
        }
        for row in operation.rows
    ]
    connection.execute(insert(rows), values)
