"""What time decides: plans and approvals that nobody used, and leases that ran out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, select

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.store import records
from positions_mcp.store.changes import count_failures
from positions_mcp.store.schema import as_text, operations
from positions_mcp.store.transaction import Transaction

EXPIRED_AT_ONCE = 100
"""How many operations are written down as expired at once: others wait for it."""


def due(now: datetime) -> Select[Any]:
    """Operations that time has changed: first those whose process ended while it sent, then the oldest.

    So many as may be written down at once: others wait for it.
    """
    claimed = case((operations.c.stage == Stage.CLAIMED.value, 0), else_=1)
    found = select(operations.c.id, operations.c.mode, operations.c.account_id)
    is_due = operations.c.due_at <= as_text(now)
    return found.where(is_due).order_by(claimed, operations.c.due_at).limit(EXPIRED_AT_ONCE)


def expire(
    transaction: Transaction, *, ids: Sequence[str], now: datetime, halt_after: int | None
) -> tuple[Operation, ...]:
    """Write down what time has decided of operations of an account, where nobody else has by now."""
    now = transaction.at(now)
    found = (transaction.operation(operation_id) for operation_id in ids)
    return tuple(
        _expire(transaction, operation, now, halt_after)
        for operation in found
        if (due_at := records.due_at(operation)) is not None and due_at <= now
    )


def _expire(transaction: Transaction, operation: Operation, now: datetime, halt_after: int | None) -> Operation:
    if operation.stage.is_open:
        reason = "nobody decided in time"
        return transaction.save(operation, "expired", now, stage=Stage.EXPIRED, reason=reason)
    if operation.stage is Stage.APPROVED:
        reason = "approved, but no call sent it in time"
        return transaction.save(operation, "lapsed", now, stage=Stage.LAPSED, reason=reason)
    lost = [
        row.changed(
            state=RowState.UNKNOWN, lease=None, detail="the process that sent it ended before the answer was recorded"
        )
        for row in operation.rows
        if row.state is RowState.SENDING
    ]
    reason = "the process that was sending ended"
    saved = transaction.save(
        operation, "lease ran out", now, rows=lost, stage=Stage.FINISHED, reason=reason, lease=None
    )
    count_failures(transaction, saved, lost, now, halt_after)
    return saved
