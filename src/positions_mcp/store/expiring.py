"""What time decides: plans and approvals that nobody used, and leases that ran out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Integer, case, select

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.store import records
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.journal import chain_of
from positions_mcp.store.schema import as_text, operations
from positions_mcp.store.sending import count_failures
from positions_mcp.store.transaction import Transaction

EXPIRED_AT_ONCE = 100
"""How many operations are written down as expired at once: others wait for it."""
_DUE = Compiled(
    select(operations.c.id, operations.c.mode, operations.c.account_id)
    .where(operations.c.due_at <= given("now"))
    .order_by(case((operations.c.stage == Stage.CLAIMED.value, 0), else_=1), operations.c.due_at)
    .limit(given("most", Integer()))
)


def due(connection: Connection, now: datetime) -> dict[str, list[str]]:
    """The ids of operations that time has changed, by the chains of their accounts.

    First those whose process ended while it sent, then the oldest; so many as may be written down at once.
    """
    by_account: dict[str, list[str]] = {}
    for key, mode, account_id in _DUE.all(connection, now=as_text(now), most=EXPIRED_AT_ONCE):
        by_account.setdefault(chain_of(Mode(mode), account_id), []).append(key)
    return by_account


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
        row.changed(state=RowState.UNKNOWN, detail="the process that sent it ended before the answer was recorded")
        for row in operation.rows
        if row.state is RowState.SENDING
    ]
    reason = "the process that was sending ended"
    saved = transaction.save(
        operation, "lease ran out", now, rows=lost, stage=Stage.FINISHED, reason=reason, lease=None
    )
    count_failures(transaction, saved, lost, now, halt_after)
    return saved
