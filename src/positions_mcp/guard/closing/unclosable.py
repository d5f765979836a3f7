"""What stands in the way of a close: it trades no more, the market is closed, orders or instructions lock it (G-13).

The API closes what is free. Orders are freed by `cancel_orders`, instructions never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.sessions import minute
from positions_mcp.domain.ids import OrderId
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.plan import CloseTarget, Mode, Plan
from positions_mcp.domain.portfolio.locks import Locks, legs_said, orders_on
from positions_mcp.domain.text import first_of, label, said_once
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import Hours, locks_of
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


@dataclass(frozen=True, slots=True)
class Unclosable:
    """Why no order can close a position now, and the way that is left; empty where there is none."""

    name: str
    why: str
    way: str = ""

    @property
    def reason(self) -> str:
        """As a refusal says it, without a full stop."""
        return f"{self.name} cannot be closed now: {self.why}"

    @property
    def left_out(self) -> str:
        """As a plan for everything says it."""
        return f"{self.name} is left out: {self.why}.{f' {self.way}' if self.way else ''}"


def why_stuck(position: Position, account: Account, cancel_orders: bool, hours: Hours) -> Unclosable | None:
    """Why it cannot be closed now; None where it can, of it at least what is free."""
    name, held, locks = label(position.name), abs(position.quantity), locks_of(position, account)
    if account.book.namesakes(position):
        name = f"{name} [{position.instrument_id}]"
    if not held:
        return None
    last = hours.last_trade(position, account)
    if last is not None and last.is_over(hours.now):
        return Unclosable(name, last.said_over(hours.now), last.way(hours.now))
    if locks.stays(cancel_orders=cancel_orders) < held:
        return None
    under_way = "a close of it is under way: " if _is_being_closed(position, account) else ""
    return Unclosable(name, f"{under_way}all {plain(held)} are locked, {locks.said}", _way_to_free(locks))


def findings_on_left_out(plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """What closing everything does not touch, and the way that is left for each."""
    if not plan.kind.is_account_wide or plan.flatten:
        return
    targets = {target.instrument_id for target in plan.targets}
    for position in account.book.positions:
        if position.instrument_id in targets:
            continue
        if stuck := why_never(position) or why_stuck(position, account, plan.cancel_orders, hours):
            yield Finding.on(Rule.LEFT_OUT, Severity.NOTE, stuck.left_out, name=stuck.name)


def findings_on_last_day(plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """That an option trades for the last time today, or expires, and until when."""
    for target in plan.closes:
        position = account.book.by_id.get(target.instrument_id)
        last = hours.last_trade(position, account) if position is not None else None
        if last is None or not last.is_today(hours.now) or last.is_over(hours.now):
            continue
        said = last.said_ahead(target.called, hours.now)
        yield Finding.on(Rule.LAST_DAY, Severity.NOTE, said, name=target.called)


def why_never(position: Position) -> Unclosable | None:
    """That no order can ever close what is held; None where one can."""
    if position.is_closable or not position.quantity:
        return None
    return Unclosable(f"{label(position.name)} ({plain(position.quantity)})", f"it {why_unclosable(position)}")


def all_left_out(positions: Iterable[Position]) -> list[str]:
    """What no order can ever close of them, as a plan for everything says it."""
    return said_once(((why.name, why.left_out) for why in map(why_never, positions) if why), whole=True)


def why_unclosable(position: Position) -> str:
    """Why no order can ever close it."""
    return "is cash, which no order closes" if position.is_cash else "is an index, which nobody can trade"


def _is_being_closed(position: Position, account: Account) -> bool:
    """Whether a close of it, by whatever caller, was sent and has not ended."""
    return any(
        row.has_effect and not row.ended and (operation.plan.kind.is_account_wide or position.instrument_id == each)
        for operation in account.record.unfinished
        if operation.plan.kind.is_close
        for each, row in zip(operation.plan.names, operation.rows, strict=True)
    )


def _way_to_free(locks: Locks) -> str:
    if locks.by_orders:
        return "cancel_orders=true cancels the orders first and closes what they lock."
    if locks.by_instructions:
        return "cancel_instruction withdraws an instruction, as long as it is not final."
    return "list_instructions shows what is instructed. Ask again when it is free."


def findings_on_hours(plan: Plan, hours: Hours) -> Iterator[Finding]:
    """Outside the regular session the supervisor decides in live; on paper, where nothing is lost, a form will do.

    A person who flattens is told of the session by the question, and nothing stands against it.
    """
    market = hours.market
    if plan.mode is Mode.PAPER or plan.flatten or market.is_open:
        return
    message = (
        f"The market is closed until {minute(market.next.opens)}: an order may wait until then and fill at another "
        "price, so the supervisor decides."
    )
    yield Finding.on(Rule.OFF_HOURS, Severity.DESK, message)


_NAMED = 8
"""Orders that a finding names at most."""


def findings_on_locked(plan: Plan, account: Account) -> Iterator[Finding]:
    """G-13: what is locked and by what, and what cancel_orders would change, or takes along."""
    ours = _of_closes_under_way(account)
    for target in plan.closes:
        position = account.book.by_id.get(target.instrument_id)
        if position is None:
            continue
        locks = locks_of(position, account)
        yield from _on_what_is_locked(plan, target, locks)
        yield from _on_what_is_claimed(target, position, locks, account)
        if not plan.cancel_orders:
            yield from _on_what_is_ordered(target, locks, ours)
    if plan.cancel_orders:
        yield from _on_what_is_cancelled(plan, account, ours)


def _on_what_is_locked(plan: Plan, target: CloseTarget, locks: Locks) -> Iterator[Finding]:
    held, at_most = plain(target.quantity.copy_abs()), f"at most {plain(target.order_quantity)} can be closed"
    if count := locks.by_instructions:
        said = f"{plain(count)} of {held} {target.called} are under exercise instructions"
        yield _locked(f"{said} ({locks.instructions_said}), which stay: {at_most}.")
    if count := locks.unexplained:
        said = f"{plain(count)} of {held} {target.called} are locked by no order or instruction that was read"
        yield _locked(f"{said}, and stay so: {at_most}.")
    if count := locks.by_orders:
        said = f"{plain(count)} of {held} {target.called} are locked by {locks.orders_said}"
        if plan.cancel_orders:
            yield _locked(f"{said}, which are cancelled first.")
        else:
            then = "With cancel_orders they would be cancelled first and it closed too."
            yield _locked(f"{said}, which stay: {at_most}. {then}")


def _on_what_is_claimed(target: CloseTarget, position: Position, locks: Locks, account: Account) -> Iterator[Finding]:
    """An instruction that the position does not call locked: the API may sell what is to be exercised."""
    if not position.is_option or account.outstanding is None:
        return
    claims = account.outstanding.on(position.instrument_id)
    claimed = min(claims.exercising, target.quantity.copy_abs())
    free = claimed - locks.by_instructions - locks.unexplained
    if free > 0:
        message = (
            f"{plain(free)} of {plain(target.quantity.copy_abs())} {target.called} are under exercise instructions "
            f"({claims.said}) although the API calls them free: closing may sell what is exercised too."
        )
        yield Finding.on(Rule.LOCKED, Severity.DESK, message)


def _on_what_is_ordered(target: CloseTarget, locks: Locks, ours: set[OrderId]) -> Iterator[Finding]:
    """Orders of others that close it too, and that it does not call locked: the listings come from two services."""
    able = [each for each in locks.able if each.order.id not in ours]
    known, held = exact_sum(each.quantity for each in able if each.quantity is not None), target.quantity.copy_abs()
    if (too_many := known + target.order_quantity - held) > 0:
        named = first_of([each.said for each in able], _NAMED)
        message = (
            f"Open orders close {target.called} too: {named}. The API calls {plain(target.order_quantity)} of "
            f"{plain(held)} free all the same: with this close they may trade {plain(too_many)} more than is held."
        )
        yield Finding.on(Rule.LOCKED, Severity.DESK, message)


def _of_closes_under_way(account: Account) -> set[OrderId]:
    return {order.order_id for each in account.record.unfinished for row in each.rows for order in row.orders}


def _on_what_is_cancelled(plan: Plan, account: Account, ours: set[OrderId]) -> Iterator[Finding]:
    """Orders that cancel_orders takes along although they lock nothing of the targets, and other legs of those."""
    open_orders = account.open_orders
    if open_orders is None:
        yield _cancelled("Orders could not be read, so what cancel_orders takes along is not known.")
        return
    held = [position for target in plan.closes if (position := account.book.by_id.get(target.instrument_id))]
    touching = {each.order.id for position in held for each in orders_on(position, open_orders)}
    locking = {each.order.id for position in held for each in locks_of(position, account).orders}
    cancelled = [order for order in open_orders if plan.kind.is_account_wide or order.id in touching]
    if legged := [order for order in cancelled if order.has_legs]:
        legs = [(label(each.id), legs_said(each, each.readable_legs) or "its legs cannot be read") for each in legged]
        named = first_of([f"order {order_id} ({said})" for order_id, said in legs], _NAMED)
        also = "What their other legs were to do is not done any more."
        yield _cancelled(f"cancel_orders cancels whole orders of several legs: {named}. {also}")
    if along := [order for order in cancelled if not order.has_legs and order.id not in locking | ours]:
        named = first_of([_single(each) for each in along], _NAMED)
        yield _cancelled(f"cancel_orders also cancels what locks nothing here: {named}.")


def _single(order: Order) -> str:
    side = label(order.side) if order.side else "side not stated"
    leaves = "?" if order.leaves is None else plain(order.leaves)
    name = order.contract.compact if order.contract else label(order.symbol or order.instrument_id or "unnamed")
    return f"order {label(order.id)} ({side} {leaves} {name})"


def _locked(message: str) -> Finding:
    return Finding.on(Rule.LOCKED, Severity.NOTE, message)


def _cancelled(message: str) -> Finding:
    return Finding.on(Rule.CANCELLED_ALONG, Severity.NOTE, message)
