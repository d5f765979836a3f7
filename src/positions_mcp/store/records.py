"""Operations as rows of the tables, and back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode, canonical_json
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store.journal import digest_of
from positions_mcp.store.schema import as_text, decisions, operations, rows

_DAMAGED = "Nothing is sent until a person has looked. Run: positions-mcp operations verify."


def select_operations(
    connection: Connection,
    *where: ColumnElement[bool],
    limit: int | None = None,
    newest_first: bool = False,
) -> tuple[Operation, ...]:
    """Operations that match, with rows and decisions, in the order they were planned."""
    order = (operations.c.created_at.desc(), operations.c.id) if newest_first else (operations.c.created_at,)
    found = connection.execute(select(operations).where(*where).order_by(*order).limit(limit)).mappings().all()
    ids = [str(row["id"]) for row in found]
    row_texts: dict[str, list[str]] = defaultdict(list)
    by_place = select(rows).where(rows.c.operation_id.in_(ids)).order_by(rows.c.operation_id, rows.c.position)
    for row in connection.execute(by_place):
        row_texts[row.operation_id].append(row.content)
    of_these = select(decisions).where(decisions.c.operation_id.in_(ids))
    decision_texts = {row.operation_id: row.content for row in connection.execute(of_these)}
    return tuple(_operation(row, row_texts[row["id"]], decision_texts.get(row["id"])) for row in found)


def select_operation(connection: Connection, operation_id: str) -> Operation | None:
    """One operation, or None."""
    found = select_operations(connection, operations.c.id == operation_id)
    return found[0] if found else None


def insert_operation(connection: Connection, operation: Operation, request_key: str, planned_entry: int) -> None:
    """Store a new operation."""
    plan = operation.plan
    connection.execute(
        insert(operations).values(
            id=plan.plan_id,
            request_key=request_key,
            created_at=as_text(plan.created_at),
            planned_entry=planned_entry,
            **_columns(operation),
        )
    )
    _write_rows(connection, operation)


def update_operation(connection: Connection, operation: Operation, *, sent_entry: int | None = None) -> None:
    """Store a changed operation: its stage, rows and decision. `sent_entry` is noted where it is given."""
    values = _columns(operation) if sent_entry is None else {**_columns(operation), "sent_entry": sent_entry}
    connection.execute(update(operations).where(operations.c.id == operation.operation_id).values(**values))
    connection.execute(delete(rows).where(rows.c.operation_id == operation.operation_id))
    _write_rows(connection, operation)
    if operation.decision is not None:
        connection.execute(delete(decisions).where(decisions.c.operation_id == operation.operation_id))
        content = canonical_json(operation.decision.model_dump(mode="json")).decode()
        connection.execute(insert(decisions).values(operation_id=operation.operation_id, content=content))


def state_digest(connection: Connection, operation: Operation) -> str:
    """SHA-256 of everything stored about an operation, as it stands in the tables."""
    mine = operations.c.id == operation.operation_id
    stored = connection.execute(select(operations).where(mine)).mappings().one()
    reserved = select(rows.c.position, rows.c.mode, rows.c.account_id, rows.c.reserved, rows.c.reserved_on)
    counted = connection.execute(
        reserved.where(rows.c.operation_id == operation.operation_id).order_by(rows.c.position)
    )
    columns = {key: value for key, value in stored.items() if key != "unfinished"}
    columns["unfinished"] = bool(stored["unfinished"])
    return digest_of([operation.model_dump(mode="json"), columns, [list(row) for row in counted]])


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
        "lease": canonical_json(lease.model_dump(mode="json")).decode() if lease else None,
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
            "content": canonical_json(row.model_dump(mode="json")).decode(),
        }
        for row in operation.rows
    ]
    connection.execute(insert(rows), values)


def _operation(stored: Any, row_texts: Sequence[str], decision_text: str | None) -> Operation:
    try:
        return Operation.model_validate(
            {
                "plan": json.loads(stored["plan"]),
                "stage": stored["stage"],
                "reason": stored["reason"],
                "rows": [json.loads(text) for text in row_texts],
                "decision": json.loads(decision_text) if decision_text else None,
                "lease": json.loads(stored["lease"]) if stored["lease"] else None,
                "updated_at": stored["updated_at"],
            }
        )
    except (ValidationError, ValueError) as error:
        raise StoreUnavailable(f"Operation {stored['id']} is damaged in the store.", hint=_DAMAGED) from error


def ids_of(found: Iterable[Operation]) -> list[str]:
    """The ids of operations."""
    return [operation.operation_id for operation in found]
