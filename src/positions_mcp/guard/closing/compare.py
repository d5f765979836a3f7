"""Is what was approved still what is held? The comparison right before sending (G-03)."""

from __future__ import annotations

from decimal import Decimal

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Reservation
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.stuck import why_stuck
from positions_mcp.guard.closing.targets import close_target
from positions_mcp.guard.kind import Comparison, as_planned

_TRADED = {OrderSide.BUY: "bought", OrderSide.SELL: "sold"}


def compare_closes(plan: Plan, account: Account, tolerance: Decimal) -> Comparison:
    """More to trade, another sign, a new target (close-all) or a price beyond the tolerance is stale; less is not."""
    if not plan.closes:
        return as_planned(plan)
    result, book = Comparison(), account.book
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
        if not plan.flatten and (reason := _why_stale(plan, target, held, account, tolerance)):
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
        _compare_whole_account(plan, account, result)
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


def _why_stale(plan: Plan, target: CloseTarget, held: Position, account: Account, tolerance: Decimal) -> str:
    return (
        _why_another(target, held) or _why_moved(target, held, tolerance) or _why_not_free(plan, target, held, account)
    )


def _why_another(target: CloseTarget, held: Position) -> str:
    was, now = target.quantity, held.quantity
    if held.side_contradicts and not target.type_says:
        return f"{target.symbol} contradicts itself now: quantity {plain(now)}, type {label(held.position_type or '')}."
    if (was > 0) != (now > 0):
        return f"{target.symbol} changed sign: {plain(now)} now, {plain(was)} planned."
    if abs(now) > abs(was):
        return f"{target.symbol}: {plain(abs(now))} would now be {_TRADED[target.side]}, {plain(abs(was))} planned."
    return ""


def _why_not_free(plan: Plan, target: CloseTarget, held: Position, account: Account) -> str:
    if stuck := why_stuck(held, account, plan.cancel_orders):
        return f"{stuck.reason}."
    now = close_target(held, account, plan.cancel_orders)
    return _more_to_close(target, now) if now.order_quantity > target.order_quantity else ""


def _why_moved(target: CloseTarget, held: Position, tolerance: Decimal) -> str:
    if not target.value:
        return ""
    if not held.market_value:
        return f"{target.symbol} has no value now; {plain(abs(target.value))} was planned."
    before, after = abs(target.value / target.quantity), abs(held.market_value / held.quantity)
    if abs(after - before) > before * tolerance:
        percent = 100 * (after - before) / before
        return f"{target.symbol} moved {percent:+.1f} % in value, beyond the tolerance of {100 * tolerance:.0f} %."
    return ""


def _compare_whole_account(plan: Plan, account: Account, result: Comparison) -> None:
    book = account.book
    planned = {target.instrument_id for target in plan.targets}
    if not book.is_complete and not plan.flatten:
        result.stale.append(f"What the account holds is not fully known: {'; '.join(book.doubts)}.")
    for held in book.positions:
        if held.quantity == 0 or not held.is_closable or held.instrument_id in planned or plan.flatten:
            continue
        if not why_stuck(held, account, plan.cancel_orders):
            result.stale.append(f"{label(held.name)} is new: {plain(held.quantity)} now, not in the plan.")
