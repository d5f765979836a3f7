"""What orders and instructions lock of what is to be closed, and what cancelling orders takes along (G-13).

The API closes what is free. Orders are freed by `cancel_orders`, instructions never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.portfolio.locks import Locks, legs_said, orders_on
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import locks_of
from positions_mcp.guard.policy.findings import Finding, Rule, Severity

_NAMED = 8
"""Orders that a finding names at most."""


def findings_on_locked(plan: Plan, account: Account) -> Iterator[Finding]:
    """G-13: what is locked and by what, and what cancel_orders would change, or takes along."""
    for target in plan.closes:
        position = account.book.by_id.get(target.instrument_id)
        if position is None:
            continue
        locks = locks_of(position, account)
        yield from _on_what_is_locked(plan, target, locks)
        yield from _on_what_is_claimed(target, position, locks, account)
    if plan.cancel_orders:
        yield from _on_what_is_cancelled(plan, account)


def _on_what_is_locked(plan: Plan, target: CloseTarget, locks: Locks) -> Iterator[Finding]:
    held, at_most = plain(abs(target.quantity)), f"at most {plain(target.order_quantity)} can be closed"
    if count := locks.by_instructions:
        said = f"{plain(count)} of {held} {target.symbol} are under exercise instructions"
        yield _locked(count, f"{said} ({locks.instructions_said}), which stay: {at_most}.")
    if count := locks.unexplained:
        said = f"{plain(count)} of {held} {target.symbol} are locked by no order or instruction that was read"
        yield _locked(count, f"{said}, and stay so: {at_most}.")
    if count := locks.by_orders:
        said = f"{plain(count)} of {held} {target.symbol} are locked by {locks.orders_said}"
        if plan.cancel_orders:
            yield _locked(count, f"{said}, which are cancelled first.")
        else:
            then = "With cancel_orders they would be cancelled first and it closed too."
            yield _locked(count, f"{said}, which stay: {at_most}. {then}")


def _on_what_is_claimed(target: CloseTarget, position: Position, locks: Locks, account: Account) -> Iterator[Finding]:
    """An instruction that the position does not call locked: the API may sell what is to be exercised."""
    if not position.is_option or account.outstanding is None:
        return
    claims = account.outstanding.on(position.instrument_id)
    claimed = min(claims.exercising, abs(target.quantity))
    free = claimed - locks.by_instructions - locks.unexplained
    if free > 0:
        message = (
            f"{plain(free)} of {plain(abs(target.quantity))} {target.symbol} are under exercise instructions "
            f"({claims.said}) although the API calls them free: closing may sell what is exercised too."
        )
        yield Finding(
            rule=Rule.LOCKED,
            severity=Severity.DESK,
            limit="nothing instructed is closed",
            seen=plain(free),
            message=message,
        )


def _on_what_is_cancelled(plan: Plan, account: Account) -> Iterator[Finding]:
    """Orders that cancel_orders takes along although they lock nothing of the targets, and other legs of those."""
    open_orders = account.open_orders
    if open_orders is None:
        yield _cancelled("not readable", "Orders could not be read, so what cancel_orders takes along is not known.")
        return
    held = [position for target in plan.closes if (position := account.book.by_id.get(target.instrument_id))]
    touching = {each.order.id for position in held for each in orders_on(position, open_orders)}
    locking = {each.order.id for position in held for each in locks_of(position, account).orders}
    cancelled = [order for order in open_orders if plan.kind.is_account_wide or order.id in touching]
    if legged := [order for order in cancelled if order.has_legs]:
        message = (
            f"cancel_orders cancels whole orders of several legs: {_listed([_legged(each) for each in legged])}. "
            "What their other legs were to do is not done any more."
        )
        yield _cancelled(str(len(legged)), message)
    ours = {order.order_id for each in account.record.unfinished for row in each.rows for order in row.orders}
    if along := [order for order in cancelled if not order.has_legs and order.id not in locking | ours]:
        message = f"cancel_orders also cancels what locks nothing here: {_listed([_single(each) for each in along])}."
        yield _cancelled(str(len(along)), message)


def _legged(order: Order) -> str:
    legs = legs_said(order, order.readable_legs) or "its legs cannot be read"
    return f"order {label(order.id)} ({legs})"


def _single(order: Order) -> str:
    side = label(order.side) if order.side else "side not stated"
    leaves = "?" if order.leaves is None else plain(order.leaves)
    name = order.contract.compact if order.contract else label(order.symbol or order.instrument_id or "unnamed")
    return f"order {label(order.id)} ({side} {leaves} {name})"


def _listed(said: Sequence[str]) -> str:
    more = len(said) - _NAMED
    return ", ".join(said[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _locked(quantity: Decimal, message: str) -> Finding:
    return Finding(
        rule=Rule.LOCKED, severity=Severity.NOTE, limit="nothing locked", seen=plain(quantity), message=message
    )


def _cancelled(seen: str, message: str) -> Finding:
    return Finding(
        rule=Rule.CANCELLED_ALONG,
        severity=Severity.NOTE,
        limit="only orders that lock a target",
        seen=seen,
        message=message,
    )
