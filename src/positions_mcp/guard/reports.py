"""What an operation comes to, for an answer: gravest first, what is left per target, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.batch.rows import BatchReport
from positions_mcp.domain.ids import AccountId, InstructionId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import (
    CancelTarget,
    CloseTarget,
    Frozen,
    HeldTarget,
    InstructionTarget,
    Kind,
    Mode,
    Target,
)
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.closes import DEVIATED_BY
from positions_mcp.guard.instruction_following import batch_of
from positions_mcp.guard.targets import traded_value

_GRAVEST_FIRST = (RowState.DEVIATED, RowState.UNKNOWN, RowState.SENDING, RowState.REJECTED)

_NEXT = {
    OperationState.PLANNED: "Nothing was sent. It waits to be asked for.",
    OperationState.AWAITING_APPROVAL: "Nothing was sent. A person has yet to decide.",
    OperationState.APPROVED: "APPROVED, NOT SENT.",
    OperationState.SENDING: "It is being sent: ask again with get_operation.",
    OperationState.SUBMITTED: "Submitted is not closed: follow it with get_operation.",
    OperationState.CLOSED: "Nothing is left of its targets.",
    OperationState.PARTIAL: "Part of it is left: see each row.",
    OperationState.DECLINED: "Nothing was sent: a person declined.",
    OperationState.EXPIRED: "Nothing was sent: the plan expired undecided.",
    OperationState.LAPSED: "Nothing was sent: the approval ended first.",
    OperationState.STALE: "Nothing was sent: the account changed after the plan was made. Plan again.",
    OperationState.REFUSED: "Nothing was sent: policy refused it.",
    OperationState.REJECTED: "The API rejected it: no order was made.",
    OperationState.UNKNOWN: "Do not send it again: whether it took effect is not known. get_operation reconciles it; "
    "only a person can conclude that it did not (positions-mcp operations settle).",
    OperationState.RECONCILED: "An unknown outcome was settled: see each row.",
}


_NEXT_OF_INSTRUCTIONS = {
    OperationState.SUBMITTED: "Sent is not accepted: follow it with get_operation.",
    OperationState.CLOSED: "Clearing has accepted every row. Nothing more to do.",
    OperationState.PARTIAL: "Not every row stands as asked: see each row.",
    OperationState.REJECTED: "No row was taken: see each row for the cause and what may be done.",
}
_NEXT_OF_CANCEL = {
    OperationState.SUBMITTED: "Requested is not cancelled: follow it until it is CANCELLED or CANCEL_FAILED, with "
    "get_operation.",
    OperationState.CLOSED: "It is cancelled: exercise by exception applies as if it had never been sent.",
    OperationState.PARTIAL: "The cancel FAILED: an operator of the broker must look, and the original instruction may "
    "stand. A person calls the broker.",
    OperationState.REJECTED: "It was not cancelled by this: see the row, and read list_instructions.",
}
_NEXT_OF_REVERSAL = (
    "Do not close it again before a person has looked at the account's orders: more was traded than was held, as when "
    "a position is closed twice."
)
_NEXT_OF_KIND = {Kind.SUBMIT_INSTRUCTIONS: _NEXT_OF_INSTRUCTIONS, Kind.CANCEL_INSTRUCTION: _NEXT_OF_CANCEL}


class RowReport(Frozen):
    """One target: what was planned, what is known, and what is left. Quantities are shares or contracts."""

    symbol: str
    state: RowState
    planned: str
    """`SELL 100`."""
    planned_value: Decimal | None = None
    residual: Decimal | None = None
    """Signed quantity still held when last read; None where it was not read."""
    detail: str = ""
    orders: tuple[SentOrder, ...] = ()
    instruction_id: InstructionId | None = None
    """The server's id of the instruction it made, or is to cancel."""
    resolution: str = ""
    """How an unknown outcome was settled, by whom and on what evidence."""


class OperationReport(Frozen):
    """An operation for an answer. `rows` stand gravest first."""

    operation_id: str
    mode: Mode
    account_id: AccountId
    kind: Kind
    state: OperationState
    headline: str
    alarms: tuple[str, ...] = ()
    """What has to be said before everything else; the headline begins with it."""
    reason: str = ""
    decision: str = ""
    """Who decided, through which channel: `elicitation, client NAME` or `desk, approver …`."""
    rows: tuple[RowReport, ...]
    next_step: str
    anything_sent: bool | None
    """True, False, or None where an outcome is not known."""
    cancel_orders: bool = False
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    batch: BatchReport | None = None
    """Of a batch of instructions that was sent: the account of every row, in the plan's order."""
    not_followed: str = ""
    """Why the account could not be read again, where it could not."""


def report(operation: Operation, now: datetime, *, not_followed: str = "") -> OperationReport:
    """The operation as it stands at `now`."""
    plan, state = operation.plan, operation.state(now)
    pairs = sorted(zip(plan.targets, operation.rows, strict=True), key=_gravity_of_pair)
    rows = [_row(target, row) for target, row in pairs]
    reversals = [said for target, row in pairs if (said := _reversal(target, row))]
    alarms = (*reversals, *_said_of_strays(operation))
    next_step = _NEXT_OF_KIND.get(plan.kind, _NEXT).get(state, _NEXT[state])
    return OperationReport(
        operation_id=operation.operation_id,
        mode=plan.mode,
        account_id=plan.account_id,
        kind=plan.kind,
        state=state,
        headline=_headline(operation, state, alarms),
        alarms=alarms,
        reason=operation.reason,
        decision=_decision(operation),
        rows=tuple(rows),
        next_step=_NEXT_OF_REVERSAL if reversals else next_step,
        anything_sent=_anything_sent(operation),
        cancel_orders=plan.cancel_orders,
        created_at=plan.created_at,
        expires_at=plan.expires_at,
        updated_at=operation.updated_at,
        batch=batch_of(operation),
        not_followed=not_followed,
    )


def _gravity_of_pair(pair: tuple[Target, Row]) -> tuple[bool, int]:
    target, row = pair
    return not _reversal(target, row), _gravity(row.state)


def _reversal(target: Target, row: Row) -> str:
    """That a close went past flat, as when it was closed twice; empty if it did not."""
    if not isinstance(target, CloseTarget) or not row.residual or (row.residual > 0) == (target.quantity > 0):
        return ""
    planned, now = ("short", "LONG") if row.residual > 0 else ("long", "SHORT")
    return (
        f"{target.symbol} is REVERSED: {plain(abs(target.quantity))} {planned} when planned, "
        f"{plain(abs(row.residual))} {now} now"
    )


def _said_of_strays(operation: Operation) -> tuple[str, ...]:
    """`DEVIATED by 1 order not in the plan`; the reason names each."""
    return (operation.reason.partition(":")[0],) if operation.reason.startswith(DEVIATED_BY) else ()


def _gravity(state: RowState) -> int:
    return _GRAVEST_FIRST.index(state) if state in _GRAVEST_FIRST else len(_GRAVEST_FIRST)


def _row(target: Target, row: Row) -> RowReport:
    value, instruction = None, row.instruction_id
    if isinstance(target, InstructionTarget | CancelTarget):
        size = "?" if target.quantity is None else str(target.quantity)
        planned = f"{target.instruction_type} {size}"
        if isinstance(target, CancelTarget):
            planned, instruction = f"cancel {planned}", target.instruction_id
    elif isinstance(target, HeldTarget):
        planned = "whatever is held"
    else:
        planned, value = f"{target.side} {plain(target.order_quantity)}", traded_value(target)
    settled = row.resolution
    said = f"{settled.conclusion} ({settled.by}): {settled.evidence}" if settled else ""
    return RowReport(
        symbol=target.symbol,
        state=row.state,
        planned=planned,
        planned_value=value,
        residual=row.residual,
        detail=row.detail,
        orders=row.orders,
        instruction_id=instruction,
        resolution=said,
    )


def _headline(operation: Operation, state: OperationState, alarms: Sequence[str]) -> str:
    """Mode, state, alarms and counts: `PAPER SUBMITTED: 1 deviated, 2 submitted; 0 of 3 flat`."""
    mode = operation.plan.mode.shown
    if operation.decision is None or not any(row.state is not RowState.NOT_SENT for row in operation.rows):
        return f"{mode} {state}"
    counts = Counter(row.state for row in operation.rows)
    parts = [f"{counts[row_state]} {row_state.lower().replace('_', ' ')}" for row_state in sorted(counts, key=_gravity)]
    if not operation.plan.kind.is_close:
        return f"{mode} {state}: {', '.join(parts)}"
    flat = sum(row.is_flat for row in operation.rows)
    return f"{mode} {state}: {'; '.join([*alarms, ', '.join(parts)])}; {flat} of {len(operation.rows)} flat"


def _decision(operation: Operation) -> str:
    decision = operation.decision
    if decision is None:
        return ""
    verb = "approved" if decision.approved else "declined"
    return f"{verb} at {decision.decided_at:%H:%M:%S} UTC, {decision.channel}, {decision.by}"


def _anything_sent(operation: Operation) -> bool | None:
    if any(row.is_in_doubt or row.state is RowState.SENDING for row in operation.rows):
        return None
    return any(row.state is not RowState.NOT_SENT for row in operation.rows)
