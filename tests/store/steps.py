"""Operations for tests of the store, and the steps of their lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Reservation, Row
from positions_mcp.domain.operation.plan import CloseTarget, Kind, Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.store.operations import SqlOperationStore

ACCOUNT = AccountId(19816)
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def plan_of(name: str = "op-1", *, symbols: tuple[str, ...] = ("AAPL", "MSFT"), at: datetime = NOW) -> Plan:
    return Plan(
        plan_id=name,
        mode=Mode.PAPER,
        account_id=ACCOUNT,
        kind=Kind.CLOSE_POSITIONS,
        caller="tester",
        targets=tuple(target_of(symbol, number) for number, symbol in enumerate(symbols, 1)),
        session="open",
        created_at=at,
        expires_at=at + 5 * MINUTE,
    )


def target_of(symbol: str, number: int) -> CloseTarget:
    return CloseTarget(
        symbol=symbol,
        instrument_id=InstrumentId(f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}"),
        measure=Decimal("1000.00"),
        quantity=Decimal(10),
        available=Decimal(10),
        value=Decimal("1000.00"),
        side=OrderSide.SELL,
        order_quantity=Decimal(10),
    )


def yes_to(operation: Operation, *, at: datetime = NOW, approved: bool = True) -> Decision:
    return Decision(
        operation_id=operation.operation_id,
        digest=operation.plan.digest,
        channel=Channel.ELICITATION,
        approved=approved,
        by="client tester",
        decided_at=at,
        expires_at=at + MINUTE,
    )


def lease_until(until: datetime = NOW + MINUTE, token: str = "claim-1") -> Lease:
    return Lease(token=token, process="here:1:boot", until=until)


def planned(store: SqlOperationStore, plan: Plan | None = None) -> Operation:
    plan = plan or plan_of()
    return store.add_plan(plan, f"key of {plan.plan_id}", plan.created_at)


def approved(store: SqlOperationStore, plan: Plan | None = None) -> Operation:
    operation = planned(store, plan)
    at = operation.plan.created_at
    store.move(operation.operation_id, expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=at)
    return store.decide(yes_to(operation, at=at), at)


def claimed(store: SqlOperationStore, plan: Plan | None = None, *, lease: Lease | None = None) -> Operation:
    operation = approved(store, plan)
    return store.claim(operation.operation_id, lease or lease_until(), operation.plan.created_at, check=allow)


def sending(store: SqlOperationStore, plan: Plan | None = None, *, position: int = 0) -> Operation:
    operation = claimed(store, plan)
    return begin(store, operation, position)


def begin(
    store: SqlOperationStore,
    operation: Operation,
    position: int,
    *,
    check: Callable[[object], None] | None = None,
    outcome: Sequence[Row] = (),
) -> Operation:
    at = operation.plan.created_at
    return store.begin(
        operation.operation_id,
        lease_until(),
        reserving={position: Reservation(measure=Decimal("1000.00"))},
        now=at,
        market_now=at,
        check=check or allow,
        outcome=outcome,
    )


def outcome(operation: Operation, position: int, state: RowState, **changes: object) -> Row:
    return operation.rows[position].changed(**{"state": state, "lease": None, **changes})


def finished(store: SqlOperationStore, plan: Plan | None = None, *, state: RowState = RowState.SUBMITTED) -> Operation:
    operation = sending(store, plan)
    store.record(operation.operation_id, "claim-1", [outcome(operation, 0, state)], NOW, halt_after=None)
    return store.finish(operation.operation_id, "claim-1", stage=Stage.FINISHED, reason="", rows=[], now=NOW)


def allow(*_: object) -> None:
    """A check that prevents nothing."""
