"""Is what was approved still what is held? The comparison right before sending (G-03)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Reservation
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.hours import Hours
from positions_mcp.guard.closing.moved import Now, why_moved
from positions_mcp.guard.closing.stuck import Stuck, why_stuck
from positions_mcp.guard.closing.targets import close_target
from positions_mcp.guard.kind import Comparison, as_planned

_TRADED = {OrderSide.BUY: "bought", OrderSide.SELL: "sold"}


def compare_closes(plan: Plan, account: Account, policy: Policy, hours: Hours) -> Comparison:
    """More to trade, another sign, a new target (close-all) or a price beyond the tolerance is stale; less is not."""
    if not plan.closes:
        return as_planned(plan)
    result, book = Comparison(), account.book
    reading = _Reading(plan, account, policy, hours)
    for position, target in enumerate(plan.closes):
        held = book.by_id.get(target.instrument_id)
        if held is None and not book.is_complete:
            # What an incomplete listing does not show may still be held.
            _miss(result, plan, position, target)
            continue
        if held is None or held.quantity == 0:
            result.flat.add(position)
            result.notes[position] = "already flat"
            continue
        if not plan.flatten and (reason := reading.why_stale(target, held)):
            result.stale.append(reason)
            continue
        now = close_target(held, account, plan.cancel_orders)
        if held.quantity != target.quantity:
            result.notes[position] = f"{plain(held.quantity)} held now, {plain(target.quantity)} when planned"
        elif now.order_quantity != target.order_quantity:
            quantities = f"{plain(now.order_quantity)} can be closed now, {plain(target.order_quantity)} when planned"
            result.notes[position] = quantities
        notional = max(now.measure, Decimal(0)) if now.priced else max(now.measure, target.measure)
        result.reserving[position] = Reservation(measure=notional, expected_quantity=now.order_quantity)
    if plan.kind.is_account_wide:
        result.stale += reading.what_is_new()
    return result


def _miss(result: Comparison, plan: Plan, position: int, target: CloseTarget) -> None:
    if plan.flatten:
        result.notes[position] = "not in the listing just read, which was incomplete"
        result.reserving[position] = Reservation(measure=target.measure)
    else:
        result.stale.append(f"{target.symbol} is not in the listing just read, which was incomplete.")


def _more_to_close(target: CloseTarget, now: CloseTarget) -> str:
    planned, more = plain(target.order_quantity), plain(now.order_quantity)
    return f"{target.symbol}: {more} would now be {_TRADED[now.side]}, {planned} planned; less is locked than before."


@dataclass(frozen=True, slots=True)
class _Reading:
    """An account just read, against a plan."""

    plan: Plan
    account: Account
    policy: Policy
    hours: Hours

    def why_stale(self, target: CloseTarget, held: Position) -> str:
        """Why what was approved of a target does not hold any more; empty where it does."""
        return (
            _why_another(target, held)
            or why_moved(target, Now.of(held, self.account), self.policy.tolerance, self.policy.option_tolerance)
            or self._why_not_free(target, held)
        )

    def what_is_new(self) -> Iterator[str]:
        """Positions that a request for the whole account would close too, and nobody approved."""
        book, plan = self.account.book, self.plan
        if plan.flatten:
            return
        planned = {target.instrument_id for target in plan.targets}
        if not book.is_complete:
            yield f"What the account holds is not fully known: {'; '.join(book.doubts)}."
        for held in book.positions:
            is_other = held.quantity != 0 and held.is_closable and held.instrument_id not in planned
            if is_other and not self._why_stuck(held):
                yield f"{label(held.name)} is new: {plain(held.quantity)} now, not in the plan."

    def _why_not_free(self, target: CloseTarget, held: Position) -> str:
        if stuck := self._why_stuck(held):
            return f"{stuck.reason}."
        now = close_target(held, self.account, self.plan.cancel_orders)
        return _more_to_close(target, now) if now.order_quantity > target.order_quantity else ""

    def _why_stuck(self, held: Position) -> Stuck | None:
        return why_stuck(held, self.account, self.plan.cancel_orders, self.hours)


def _why_another(target: CloseTarget, held: Position) -> str:
    was, now = target.quantity, held.quantity
    if held.side_contradicts and not target.type_says:
        return f"{target.symbol} contradicts itself now: quantity {plain(now)}, type {label(held.position_type or '')}."
    if (was > 0) != (now > 0):
        return f"{target.symbol} changed sign: {plain(now)} now, {plain(was)} planned."
    if abs(now) > abs(was):
        return f"{target.symbol}: {plain(abs(now))} would now be {_TRADED[target.side]}, {plain(abs(was))} planned."
    return ""
