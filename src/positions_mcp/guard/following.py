"""From submitted to closed: what the book and the orders now say, and what may be concluded of an unknown outcome.

The program may conclude that a request took effect, with what it saw. It never concludes that one did not: a book that
has not changed proves nothing, and only a person settles that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operations import Conclusion, Operation, Resolution, Row, SentOrder
from positions_mcp.domain.orders import Order
from positions_mcp.domain.plans import CloseTarget
from positions_mcp.domain.positions import Book
from positions_mcp.domain.states import RowState
from positions_mcp.guard.facts import Facts
from positions_mcp.ports import OrdersReader

CLOCK_SKEW = timedelta(seconds=5)
"""How far the exchange's clock may be behind this one when an order is matched to a request."""
PROGRAM = "positions-mcp"


async def follow_closes(operation: Operation, facts: Facts, reader: OrdersReader | None) -> Sequence[Row]:
    """Rows that have changed, from the book just read and the orders of the operation's instruments."""
    followed = [row for row in operation.rows if _is_worth_following(row)]
    if not followed:
        return ()
    orders = await _orders_of(operation, followed, reader)
    changed = []
    for row in followed:
        target = operation.plan.closes[row.position]
        update = _observed(row, target, facts.book, orders)
        if row.is_in_doubt:
            update |= _concluded(operation, row, target, facts, orders)
        if any(getattr(row, name) != value for name, value in update.items()):
            changed.append(row.changed(**update, observed_at=facts.book.as_of))
    return changed


def _is_worth_following(row: Row) -> bool:
    return row.is_unfinished and row.state is not RowState.SENDING


async def _orders_of(operation: Operation, rows: Sequence[Row], reader: OrdersReader | None) -> dict[str, Order] | None:
    """Orders by id, of every instrument that is followed; None where orders cannot be read."""
    if reader is None:
        return None
    instruments = [operation.plan.targets[row.position].instrument_id for row in rows]
    try:
        found = await reader.read_orders(operation.account_id, instrument_ids=instruments)
    except UpstreamError:
        return None
    return {order.id: order for order in found}


def _observed(row: Row, target: CloseTarget, book: Book, orders: dict[str, Order] | None) -> dict[str, Any]:
    update: dict[str, Any] = {}
    held = book.by_id.get(target.instrument_id)
    if held is not None or book.is_complete:
        update["residual"] = held.quantity if held is not None else Decimal(0)
    if not row.orders:
        update["ended"] = row.has_effect and update.get("residual") == 0
        return update
    if orders is None:
        update["ended"] = update.get("residual") == 0
        return update
    # An end is an end only once what is left was read with it.
    read = tuple(SentOrder.of(orders[o.order_id]) if o.order_id in orders else o for o in row.orders)
    update["orders"] = read
    update["ended"] = "residual" in update and not any(order.is_open for order in read)
    if row.state in (RowState.SUBMITTED, RowState.QUEUED):
        if all(order.status == OrderStatus.REJECTED and not order.filled for order in read):
            update["state"] = RowState.REJECTED
            why = "; ".join(order.details for order in read if order.details)
            update["detail"] = f"The order was rejected after it was accepted. {why}".strip()
        else:
            queued = any(order.is_queued for order in read)
            update["state"] = RowState.QUEUED if queued else RowState.SUBMITTED
    return update


def _concluded(
    operation: Operation, row: Row, target: CloseTarget, facts: Facts, orders: dict[str, Order] | None
) -> dict[str, Any]:
    """A resolution with its evidence, or nothing."""
    at = facts.book.as_of
    if found := _orders_it_made(operation, row, target, facts, orders):
        named = ", ".join(f"{order.side} {plain(order.quantity or Decimal(0))} {order.status}" for order in found)
        evidence = f"An order for {target.symbol} appeared after it was sent: {named}."
        kept = tuple(SentOrder.of(order) for order in found)
        ended = not any(order.is_open for order in found)
        return {"resolution": _took_effect(evidence, at), "orders": kept, "ended": ended}
    if evidence := _shown_by_book(row, target, facts.book):
        return {"resolution": _took_effect(evidence, at), "ended": True}
    return {}


def _orders_it_made(
    operation: Operation, row: Row, target: CloseTarget, facts: Facts, orders: dict[str, Order] | None
) -> list[Order]:
    """Orders on the right side for the expected quantity that appeared when it was sent and are nobody else's."""
    if orders is None or row.sent_at_market is None:
        return []
    others = {
        order.order_id
        for other in facts.record.without(operation.operation_id)
        for its_row in other.rows
        for order in its_row.orders
    }
    found = [
        order
        for order in orders.values()
        if order.instrument_id == target.instrument_id
        and order.side is target.side
        and order.id not in others
        and _appeared_with(order, row.sent_at_market)
    ]
    expected = row.expected_quantity or target.order_quantity
    together = exact_sum(order.quantity for order in found if order.quantity is not None)
    return found if found and together == expected else []


def _appeared_with(order: Order, sent_at: datetime) -> bool:
    return order.created_at is not None and order.created_at >= sent_at - CLOCK_SKEW


def _shown_by_book(row: Row, target: CloseTarget, book: Book) -> str:
    """Evidence from the book alone: exactly what was to be closed is gone."""
    expected = row.expected_quantity or target.order_quantity
    held = book.by_id.get(target.instrument_id)
    if held is None and not book.is_complete:
        return ""
    left = held.quantity if held is not None else Decimal(0)
    if left == 0:
        return f"{target.symbol} is flat now; {plain(expected)} were to be closed when it was sent."
    return ""


def _took_effect(evidence: str, at: datetime) -> Resolution:
    return Resolution(conclusion=Conclusion.TOOK_EFFECT, by=PROGRAM, evidence=evidence, at=at, by_person=False)
