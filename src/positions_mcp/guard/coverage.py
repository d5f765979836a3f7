"""Whether a close would leave a short option without cover, and what open orders hold back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.operation import Operation, SentOrder
from positions_mcp.domain.operation.plan import InstructionTarget, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.portfolio.exposure import (
    Exposed,
    Quantities,
    expected_quantities,
    exposed,
    nearer_zero,
    worsened,
)
from positions_mcp.domain.text import label
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.held import instruments_of
from positions_mcp.guard.targets import close_target, instructed_quantity
from positions_mcp.guard.verdict import Finding, Rule, Severity


def judge(policy: Policy, plan: Plan, facts: Facts) -> Iterator[Finding]:
    """G-12: a plan may not leave more short contracts uncovered, or unprotected, than before."""
    if not plan.kind.is_close:
        return
    counted = {**counted_on(facts, plan.plan_id), **_freed_by_cancelling(plan, facts)}
    for was, now in _worsened(facts, counted, _to_be_traded(plan, facts)):
        yield Finding(
            rule=Rule.UNCOVERED,
            severity=Severity.NOTE if policy.allow_uncovered else Severity.REFUSE,
            limit=f"{plain(was.uncovered)} uncovered, {plain(was.unprotected)} unprotected, as now",
            seen=f"{plain(now.uncovered)} uncovered, {plain(now.unprotected)} unprotected",
            message=_said(was, now),
        )


def _freed_by_cancelling(plan: Plan, facts: Facts) -> Quantities:
    """What counts as cover again because the plan itself cancels the open orders that were taking it."""
    if not plan.cancel_orders:
        return {}
    held = (facts.book.by_id.get(target.instrument_id) for target in plan.closes)
    return {
        position.instrument_id: nearer_zero(position.quantity, instructed_quantity(position, facts.outstanding))
        for position in held
        if position is not None
    }


def _to_be_traded(plan: Plan, facts: Facts) -> dict[InstrumentId, Decimal]:
    """What the API would trade if it were sent now: before sending that may be less than was planned."""
    held = (facts.book.by_id.get(target.instrument_id) for target in plan.closes)
    return {
        position.instrument_id: close_target(position, facts, plan.cancel_orders).order_quantity
        for position in held
        if position is not None and position.quantity
    }


def locked(plan: Plan, facts: Facts) -> Iterator[Finding]:
    """G-13: what open orders hold, and what cancel_orders would change."""
    if not plan.kind.is_close:
        return
    for target in plan.closes:
        position = facts.book.by_id.get(target.instrument_id)
        if position is None or not position.locked_quantity:
            continue
        instructed = instructed_quantity(position, facts.outstanding)
        by_orders = position.locked_quantity - instructed
        held, at_most = plain(abs(target.quantity)), f"at most {plain(target.order_quantity)} can be closed"
        if instructed:
            message = (
                f"{plain(instructed)} of {held} {target.symbol} are under exercise instructions, which stay: {at_most}."
            )
            yield _locked(instructed, message)
        if by_orders and plan.cancel_orders:
            message = (
                f"{plain(by_orders)} of {held} {target.symbol} are locked by open orders, which are cancelled first."
            )
            yield _locked(by_orders, message)
        elif by_orders:
            message = f"{plain(by_orders)} of {held} {target.symbol} are locked by open orders, which stay: {at_most}."
            yield _locked(by_orders, f"{message} With cancel_orders they would be cancelled first and it closed too.")


def _locked(quantity: Decimal, message: str) -> Finding:
    return Finding(
        rule=Rule.LOCKED, severity=Severity.NOTE, limit="nothing locked", seen=plain(quantity), message=message
    )


def obstacle(operation: Operation, position: int, facts: Facts) -> str:
    """Why a row may not be sent now: it would uncover a short option whose buy-back is not known. Empty if it may.

    Buy-backs of this operation count as far as the answers showed orders for them that live or have filled.
    """
    target = operation.plan.closes[position]
    held = facts.book.by_id.get(target.instrument_id)
    if held is None or _is_short_option(held):
        return ""
    quantities = counted_on(facts, operation.operation_id)
    for done, row in zip(operation.plan.closes, operation.rows, strict=True):
        as_planned = row.state in (RowState.SUBMITTED, RowState.QUEUED)
        if row.position != position and as_planned and done.instrument_id in quantities:
            ordered = exact_sum(_counted(order) for order in row.orders if order.side is done.side)
            quantities[done.instrument_id] = nearer_zero(quantities[done.instrument_id], ordered)
    worse = _worsened(facts, quantities, {target.instrument_id: abs(target.quantity)})
    return _said(*worse[0]) if worse else ""


def _counted(order: SentOrder) -> Decimal:
    whole = order.is_open or order.status == OrderStatus.FILLED
    return (order.quantity if whole else order.filled) or Decimal(0)


def has_short_options(book: Book) -> bool:
    """Whether there is anything that may lose its cover."""
    return any(_is_short_option(position) for position in book.positions)


def _is_short_option(position: Position) -> bool:
    return position.is_option and position.quantity < 0


def counted_on(facts: Facts, operation_id: str, again: Iterable[InstructionTarget] = ()) -> Quantities:
    """What of the book can be counted on, apart from the operation itself and instructions that it sends `again`."""
    keys = {target.instruction_key for target in again}
    unfinished = [
        (key, row)
        for operation in facts.record.without(operation_id)
        if operation.plan.kind.is_close
        for target, row in zip(operation.plan.closings, operation.rows, strict=True)
        if row.is_unfinished
        for key in instruments_of(target, facts.book)
    ]
    quantities = expected_quantities(
        facts.book,
        open_orders=facts.open_orders,
        in_flight=[key for key, _ in unfinished],
        outstanding=facts.outstanding,
        unlisted=[each for each in facts.record.unlisted(operation_id) if each.instruction_key not in keys],
    )
    for key, row in unfinished:
        # No order is known of it yet, so none that was read says what it takes.
        takes_unseen = row.state is RowState.SENDING or row.is_in_doubt
        if takes_unseen and (position := facts.book.by_id.get(key)) and not _is_short_option(position):
            quantities[key] = Decimal(0)
    return quantities


def _worsened(
    facts: Facts, quantities: Quantities, traded: Mapping[InstrumentId, Decimal]
) -> tuple[tuple[Exposed, Exposed], ...]:
    after = {key: nearer_zero(quantity, traded.get(key, Decimal(0))) for key, quantity in quantities.items()}
    return worsened(exposed(facts.book, quantities), exposed(facts.book, after))


def _said(was: Exposed, now: Exposed) -> str:
    more = max(now.uncovered - was.uncovered, now.unprotected - was.unprotected)
    kind = "uncovered" if now.uncovered > was.uncovered else "without the long option that limits them"
    group = f"short {label(now.root)} {_right(now)}"
    return f"It would leave {plain(more)} more {group} {kind} ({plain(now.uncovered)} in all)."


def _right(group: Exposed) -> str:
    return f"{group.right.lower()}s" if group.right else "options"
