"""What the answer to a close says of each row of its request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from positions_mcp.domain.account.orders import Order, distinct_orders
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.operation import SentOrder
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget, Plan
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import counted, label, quoted
from positions_mcp.guard.kind import Answer, Request, RowAnswer

DEVIATED_BY = "DEVIATED by"
"""How what is said of orders that no row expected begins."""


def account_for(plan: Plan, request: Request, response: Response[list[Order]]) -> Answer:
    """Every row of the request gets what the answer says of it; orders that no row expected are named."""
    of_row: dict[int, list[Order]] = defaultdict(list)
    strays: list[Order] = []
    for order in distinct_orders(response.data):
        position = _row_of(order, plan, request)
        strays.append(order) if position is None else of_row[position].append(order)
    outcomes = {
        position: _of_another_account(plan, position, of_row[position], response)
        or _outcome(plan.closings[position], reservation.expected_quantity, of_row[position], response)
        for position, reservation in request.rows.items()
    }
    return Answer(outcomes, _said_of_strays(strays, response))


def _row_of(order: Order, plan: Plan, request: Request) -> int | None:
    for position in request.rows:
        if _is_for(order, plan.closings[position]):
            return position
    return None


def _of_another_account(
    plan: Plan, position: int, orders: Sequence[Order], response: Response[list[Order]]
) -> RowAnswer | None:
    """What to say of a row that was answered with an order of another account, whatever the order says."""
    others = [order for order in orders if order.account_id != plan.account_id]
    if not others:
        return None
    said = (f"order {label(order.id)} is of account {order.account_id}, not of {plan.account_id}" for order in others)
    detail = f"{plan.closings[position].symbol}: {'; '.join(said)}."
    kept = tuple(SentOrder.of(order) for order in orders)
    return RowAnswer(RowState.DEVIATED, detail, kept, request_id=response.metadata.request_id)


def _is_for(order: Order, target: CloseTarget | HeldTarget) -> bool:
    if isinstance(target, HeldTarget) and target.is_everything:
        return True
    if order.instrument_id is not None:
        return order.instrument_id.lower() == target.instrument_id
    if order.contract is not None:
        return order.contract == parse_option_symbol(target.symbol)
    return order.symbol is not None and order.symbol == target.symbol


def _outcome(
    target: CloseTarget | HeldTarget, expected: Decimal | None, orders: Sequence[Order], response: Response[list[Order]]
) -> RowAnswer:
    request_id = response.metadata.request_id
    if not orders:
        unreadable = " Some rows of the answer could not be read." if response.unreadable else ""
        detail = f"The API accepted the request but named no order for {target.called}.{unreadable}"
        return RowAnswer(RowState.UNKNOWN, detail, request_id=request_id)
    kept = tuple(SentOrder.of(order) for order in orders)
    living = [order for order in orders if not order.was_refused]
    rejected = _said_of_rejected(kept, response)
    if not living:
        return RowAnswer(RowState.REJECTED, rejected, kept, request_id=request_id, ended=True)
    state = RowState.QUEUED if any(order.is_queued for order in living) else RowState.SUBMITTED
    deviation = "" if isinstance(target, HeldTarget) else _deviation(target, expected, living)
    detail = " ".join(filter(None, [deviation, rejected]))
    return RowAnswer(RowState.DEVIATED if deviation else state, detail, kept, request_id=request_id)


def _said_of_rejected(orders: Sequence[SentOrder], response: Response[list[Order]]) -> str:
    """`The order was rejected: "market closed".`; empty where none was."""
    rejected = [order for order in orders if order.status == OrderStatus.REJECTED]
    if not rejected:
        return ""
    reasons = dict.fromkeys(order.details for order in rejected if order.details)
    if not reasons and response.error is not None and response.error.said:
        reasons = {response.error.said: None}
    why = f": {quoted('; '.join(reasons))}" if reasons else ""
    if len(orders) == 1:
        return f"The order was rejected{why}."
    return f"{len(rejected)} of {len(orders)} orders {'was' if len(rejected) == 1 else 'were'} rejected{why}."


def _deviation(target: CloseTarget, expected: Decimal | None, orders: Sequence[Order]) -> str:
    awaited = target.order_quantity if expected is None else expected
    planned = f"Planned {target.side} {plain(target.order_quantity)} {target.called}"
    if awaited != target.order_quantity:
        planned = f"{planned} ({plain(awaited)} by the book read just before)"
    sides = {order.side for order in orders}
    if sides != {target.side}:
        seen = ", ".join(sorted(label(side) if side else "none stated" for side in sides))
        return f"{planned}; the order's side is {seen}."
    quantities = [order.quantity for order in orders if order.quantity is not None]
    if len(quantities) < len(orders):
        return f"{planned}; the order states no quantity."
    if (total := exact_sum(quantities)) != awaited:
        return f"{planned}; the order is for {plain(total)}."
    return ""


def _said_of_strays(strays: Sequence[Order], response: Response[list[Order]]) -> str:
    """Orders that no row expected. One that was rejected traded nothing: it is how the API answers what is left out."""
    rejected = [order for order in strays if order.was_refused]
    traded = [order for order in strays if not order.was_refused]
    parts = []
    if traded:
        parts.append(f"{DEVIATED_BY} {counted(len(traded), 'order')} not in the plan: {_listed(traded)}.")
    if rejected:
        parts.append(f"Rejected, and not in the plan: {_listed(rejected)}.")
    if response.unreadable:
        parts.append(f"{counted(len(response.unreadable), 'row')} of the answer could not be read.")
    return " ".join(parts)


def _listed(orders: Sequence[Order]) -> str:
    return ", ".join(
        f"{label(order.side or 'side unknown')} {plain(order.quantity) if order.quantity is not None else '?'} "
        f"{label(order.symbol or order.instrument_id or 'unnamed')} (order {label(order.id)})"
        for order in orders[:20]
    )
