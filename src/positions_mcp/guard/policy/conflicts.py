"""What earlier operations still hold: scopes whose outcome is unknown, and closes that may still fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from positions_mcp.domain.batch.rows import NextStep
from positions_mcp.domain.ids import NIL_UUID
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import InstructionTarget, Plan, Target
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account, AccountRecord
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def findings_on_conflicts(plan: Plan, account: Account) -> Iterator[Finding]:
    """Scopes in doubt refuse; a close in flight refuses unless its order is known to be gone or will be cancelled."""
    yield from in_doubt(plan, account.record)
    if plan.kind.is_close or plan.instructions:
        yield from _in_flight(plan, account)


def in_doubt(plan: Plan, record: AccountRecord) -> Iterator[Finding]:
    """Nothing is sent into a scope where an earlier request is being sent or its outcome is unknown."""
    for operation in record.without(plan.plan_id):
        held = [
            (target, row)
            for target, row in shared(plan, [operation])
            if row.state is RowState.SENDING or row.may_stand_unseen
        ]
        if not held:
            continue
        if all(_goes_again(plan, target, row) for target, row in held):
            yield _under_its_key(plan, operation)
            continue
        sending = any(row.state is RowState.SENDING for row in operation.rows)
        what = "is being sent" if sending else "has an unknown outcome"
        scope = "the account" if operation.plan.kind.is_account_wide or plan.kind.is_account_wide else "the instrument"
        message = f"{named_to(plan, operation)} {what} and holds {scope}; get_operation follows it."
        yield Finding.on(Rule.IN_DOUBT, Severity.REFUSE, message)


def _goes_again(plan: Plan, target: Target, row: Row) -> bool:
    """Whether the plan sends the same row under the same key to a server that has shown that it honours keys."""
    known = row.answered is not None and row.answered.next_step is NextStep.SAME_KEY
    return known and row.is_in_doubt and any(_asks_the_same(each, target) for each in plan.instructions)


def _asks_the_same(planned: InstructionTarget, sent: Target) -> bool:
    return (
        isinstance(sent, InstructionTarget)
        and planned.instruction_key == sent.instruction_key
        and planned.instrument_id == sent.instrument_id
        and planned.instruction_type == sent.instruction_type
        and planned.quantity == sent.quantity
    )


def _under_its_key(plan: Plan, operation: Operation) -> Finding:
    message = (
        f"{named_to(plan, operation)} sent these rows and its outcome is unknown. They go again under the same keys, "
        "which this server has shown that it honours: what it has already, it refuses as a duplicate."
    )
    return Finding.on(Rule.IN_DOUBT, Severity.NOTE, message)


def seen_by(plan: Plan, operation: Operation) -> str:
    """An operation as whoever made the plan may read of it: others' are named to a person at a terminal only."""
    return operation.operation_id if _is_named(plan, operation) else "another caller"


def named_to(plan: Plan, operation: Operation) -> str:
    """The same at the beginning of a sentence."""
    return f"Operation {operation.operation_id}" if _is_named(plan, operation) else "An operation of another caller"


def _is_named(plan: Plan, operation: Operation) -> bool:
    return plan.flatten or operation.plan.caller == plan.caller


def known_too_late(plan: Plan, sent: Iterable[Operation]) -> Operation | None:
    """Of operations sent after the plan was made, one on the same scope, which the plan cannot have counted."""
    for operation in sent:
        if any(row.state not in (RowState.NOT_SENT, RowState.REJECTED) for _, row in shared(plan, [operation])):
            return operation
    return None


def shared(plan: Plan, operations: Iterable[Operation]) -> Iterator[tuple[Target, Row]]:
    """Targets and rows of operations that a plan touches too. A request for a whole account touches everything."""
    is_in_it = _within(plan)
    for operation in operations:
        everything = plan.kind.is_account_wide or operation.plan.kind.is_account_wide
        for target, row in zip(operation.plan.targets, operation.rows, strict=True):
            if everything or is_in_it(target):
                yield target, row


def _within(plan: Plan) -> Callable[[Target], bool]:
    """Whether a plan is about a target's instrument.

    What is called the same is the same, whatever its id is by now, unless both were held at once.
    """
    ids = {target.instrument_id for target in plan.targets}
    names = {target.symbol for target in plan.targets if not target.has_namesakes}
    return lambda target: target.instrument_id in ids or (target.symbol in names and not target.has_namesakes)


def _in_flight(plan: Plan, account: Account) -> Iterator[Finding]:
    is_in_it = _within(plan)
    for operation in account.record.without(plan.plan_id):
        if not operation.plan.kind.is_close:
            continue
        for target, row in shared(plan, [operation]):
            if not row.has_effect or row.ended:
                continue
            if plan.kind.is_close:
                yield from _about(plan, account, operation, target, row)
            elif target.instrument_id == NIL_UUID or is_in_it(target):
                yield _sold_too(plan, operation, target)


def _sold_too(plan: Plan, operation: Operation, target: Target) -> Finding:
    """An exercise of what a close sells: the one or the other may find nothing."""
    message = (
        f"The close of {target.called} by {seen_by(plan, operation)} has not ended: contracts that it sells cannot be "
        "exercised too, and the book may still show them."
    )
    return Finding.on(Rule.IN_FLIGHT, Severity.DESK, message, name=target.called)


def _about(plan: Plan, account: Account, operation: Operation, target: Target, row: Row) -> Iterator[Finding]:
    said = f"The close of {target.called} by {seen_by(plan, operation)}"
    open_ids = account.open_order_ids
    why = row.detail.partition(" In flight: ")[2]
    if open_ids is None:
        severity = Severity.DESK
        message = f"{said} may still fill: its order could not be read, and closing again may trade twice."
    elif not any(order.is_open and order.order_id in open_ids for order in row.orders):
        severity = Severity.DESK
        why = why or "its order is not listed, and the book has not followed yet."
        also = " cancel_orders finds no order of it to cancel." if plan.cancel_orders else ""
        message = f"{said} is in flight: {why} Closing again may trade twice.{also}"
    elif plan.cancel_orders and why:
        severity = Severity.DESK
        message = f"{said} is still open: {why} Cancelling it and closing again may trade twice."
    elif plan.cancel_orders:
        severity = Severity.NOTE
        message = f"{said} is still open; cancel_orders cancels {_orders(row, open_ids)} first."
    else:
        severity = Severity.REFUSE
        then = f"Wait for it, or close with cancel_orders, which would cancel {_orders(row, open_ids)} first."
        message = f"{said} is still open: closing again may trade twice. {then}"
    yield Finding.on(Rule.IN_FLIGHT, severity, message, name=target.called)


def _orders(row: Row, open_ids: frozenset[str]) -> str:
    ids = [label(order.order_id) for order in row.orders if order.order_id in open_ids]
    return f"order {ids[0]}" if len(ids) == 1 else f"orders {', '.join(ids)}"
