"""How often a caller has asked for something in an account: by an index, however much else is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.doings import Doings
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.ports import Ledger, Rationing
from positions_mcp.store import records
from positions_mcp.store.schema import as_text, operations


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


def begin(
    connection: Connection, ledger: Ledger, operation: Operation, now: datetime, ration: Rationing | None
) -> datetime | None:
    """From when an operation counts for its caller, which `ration` may refuse; None where it does already."""
    counted_at = select(operations.c.counted_at).where(operations.c.id == operation.operation_id)
    if connection.execute(counted_at).scalar_one() is not None:
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
