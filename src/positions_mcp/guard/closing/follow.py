"""From submitted to closed: what the book and the orders now say, and what may be concluded of an unknown outcome.

The program may conclude that a request took effect, with what it saw. It never concludes that one did not: a book that
has not changed proves nothing, and only a person settles that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import OrderSide, OrderStatus, OrderType
from positions_mcp.domain.ids import OrderId
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.operation import Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.portfolio.exposure import nearer_zero
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.account import Account
from positions_mcp.guard.kind import observed, took_effect

CLOCK_SKEW = timedelta(seconds=5)
"""How far the exchange's clock may be behind this one when an order is matched to a request."""
_IN_FLIGHT = " In flight: "
LATE = timedelta(seconds=10)
"""How long after the last moment of a request its order may still be made."""


def follow_closes(
    operation: Operation, account: Account, write_timeout: timedelta, book_lag: timedelta
) -> Sequence[Row]:
    """Rows that have changed, by the account's orders and the book that was read after them.

    Orders and positions come from different services: a row whose orders have filled ends once the book has moved by
    what was filled, or has not for `book_lag`.
    """
    orders = None if account.orders is None else {order.id: order for order in account.orders}
    changed: list[Row] = []
    for row in operation.rows:
        if not row.is_followed:
            continue
        target = operation.plan.closings[row.position]
        update = _observed(row, target, account.book, orders, book_lag)
        if isinstance(target, CloseTarget) and row.is_in_doubt:
            update |= _concluded(operation, row, target, account, write_timeout)
        changed += observed(row, update, account.book.as_of)
    return changed


def _observed(
    row: Row, target: CloseTarget | HeldTarget, book: Book, orders: dict[OrderId, Order] | None, book_lag: timedelta
) -> dict[str, Any]:
    update: dict[str, Any] = {}
    if (left := _left_of(target, book)) is not None:
        update["residual"] = left
    if not row.orders:
        update["ended"] = row.has_effect and update.get("residual") == 0
        return update
    if orders is None:
        # Flat by whatever means: an order that was open when last read may still trade.
        update["ended"] = update.get("residual") == 0 and not any(order.is_open for order in row.orders)
        return update
    read = tuple(_as_known(o, orders.get(o.order_id)) for o in row.orders)
    update["orders"] = read
    unseen = any(order.is_open and order.order_id not in orders for order in read)
    is_open = not unseen and any(order.is_open for order in read)
    update |= _settled(row, target, read, book, unseen=unseen, is_open=is_open, lag=book_lag)
    if row.state in (RowState.SUBMITTED, RowState.QUEUED):
        if all(order.status == OrderStatus.REJECTED and not order.filled for order in read):
            update["state"] = RowState.REJECTED
            why = "; ".join(dict.fromkeys(order.details for order in read if order.details))
            said = f": {quoted(why)}" if why else ""
            update["detail"] = f"The order was rejected after it was accepted{said}."
        else:
            queued = any(order.is_queued for order in read)
            update["state"] = RowState.QUEUED if queued else RowState.SUBMITTED
    return update


def _as_known(last: SentOrder, order: Order | None) -> SentOrder:
    """An order as now read, if it is listed. What it has filled, and that it has ended, no late listing takes back."""
    if order is None or (order.is_open and not last.is_open):
        return last
    now = SentOrder.of(order)
    is_late = last.filled is not None and now.filled is not None and now.filled < last.filled
    return now.changed(filled=last.filled) if is_late else now


def _settled(
    row: Row,
    target: CloseTarget | HeldTarget,
    read: Sequence[SentOrder],
    book: Book,
    *,
    unseen: bool,
    is_open: bool,
    lag: timedelta,
) -> dict[str, Any]:
    """Whether the book has followed what orders have filled, and, of those that trade no more, has come to its end."""
    left, before = _left_of(target, book), row.detail.partition(_IN_FLIGHT)[0]
    # An end is an end only once what is left was read with it; of a whole account that is no one number.
    is_known = left is not None or (isinstance(target, HeldTarget) and book.is_complete)
    not_told = _why_not_told(read, left, unseen=unseen)
    if not not_told and _has_followed(row, target, left, read):
        return {"ended": is_known and not is_open, "detail": before}
    if is_open and isinstance(target, HeldTarget):
        return {"ended": False, "detail": before}
    filled = plain(exact_sum(map(_filled, read)))
    what = not_told or f"filled {filled}, the book has not followed yet"
    waiting = f"{before}{_IN_FLIGHT}{what}."
    if is_open or row.detail != waiting or row.observed_at is None or book.as_of - row.observed_at < lag:
        return {"ended": False, "detail": waiting}
    late = f"{before}{_IN_FLIGHT}{what}; not waited for after {lag.total_seconds() / 60:g} minutes."
    return {"ended": is_known, "detail": late}


def _why_not_told(read: Sequence[SentOrder], left: Decimal | None, *, unseen: bool) -> str:
    """Why nobody can say what a row's orders have filled, or may still fill; empty where that is known."""
    if unseen:
        return "the API does not know its order now"
    if any(order.status == OrderStatus.REPLACED for order in read):
        return "its order was replaced by another one, which may still fill"
    return "" if left == 0 or all(map(_tells, read)) else "the API does not say how much its order filled"


def _tells(order: SentOrder) -> bool:
    if order.status == OrderStatus.FILLED:
        return bool(order.filled or order.quantity)
    return order.is_open or order.filled is not None or order.status == OrderStatus.REJECTED


def _has_followed(row: Row, target: CloseTarget | HeldTarget, left: Decimal | None, read: Sequence[SentOrder]) -> bool:
    """Whether the book has moved by what was filled since the request was sent."""
    moved = exact_sum(_filled(order) * (1 if order.side is OrderSide.BUY else -1) for order in read)
    if not moved or (left == 0 and isinstance(target, HeldTarget)):
        return True
    if left is None or isinstance(target, HeldTarget):
        return False
    if left == 0 and abs(moved) <= abs(target.quantity):
        return True
    expected = target.order_quantity if row.expected_quantity is None else row.expected_quantity
    before = row.held or nearer_zero(target.quantity, target.order_quantity - expected)
    return (left - before) / moved >= 1


def _filled(order: SentOrder) -> Decimal:
    whole = order.quantity if order.status == OrderStatus.FILLED else None
    return order.filled or whole or Decimal(0)


def _concluded(
    operation: Operation, row: Row, target: CloseTarget, account: Account, write_timeout: timedelta
) -> dict[str, Any]:
    """A resolution with its evidence; nothing where anything else may explain what is seen."""
    if account.orders is None or row.sent_at_market is None:
        return {}
    since, until = row.sent_at_market - CLOCK_SKEW, row.sent_at_market + write_timeout + LATE
    others = account.record.beside(operation.operation_id)
    rivals = [rival for other in others for rival in _rivals(other, target, since)]
    if any(not rival.orders for rival in rivals):
        return {}
    at = account.book.as_of
    theirs = {order.order_id for other in others for each in other.rows for order in each.orders}
    new = [order for order in account.orders if order.id not in theirs]
    if found := _orders_it_made(row, target, new, since, until):
        named = ", ".join(f"{target.side} {plain(o.quantity or Decimal(0))} {label(o.status)}" for o in found)
        evidence = f"An order for {target.called} appeared after it was sent: {named}."
        kept = tuple(SentOrder.of(order) for order in found)
        gone = not any(order.is_open for order in kept)
        ended = gone and _has_followed(row, target, _left_of(target, account.book), kept)
        return {"resolution": took_effect(evidence, at), "orders": kept, "ended": ended}
    explained = rivals or any(_may_explain(order, target, since) for order in account.orders)
    # Overnight, assignment and expiry empty positions too.
    if explained or _left_of(target, account.book) != 0 or new_york_day(at) != new_york_day(since):
        return {}
    expected = row.expected_quantity or target.order_quantity
    evidence = f"{target.called} is flat now; {plain(expected)} were to be closed when it was sent."
    return {"resolution": took_effect(evidence, at), "ended": True}


def _rivals(other: Operation, target: CloseTarget, since: datetime) -> Iterator[Row]:
    """Rows of another operation that may have traded the target since then. A request for all may trade anything."""
    for its_target, row in zip(other.plan.targets, other.rows, strict=True):
        touches = its_target.instrument_id == target.instrument_id or other.plan.kind.is_account_wide
        may_have = row.has_effect or row.is_not_known
        moments = (row.sent_at_market, row.observed_at)
        recent = not row.ended or any(moment is not None and moment >= since for moment in moments)
        if touches and may_have and recent:
            yield row


def _orders_it_made(
    row: Row, target: CloseTarget, new: Sequence[Order], since: datetime, until: datetime
) -> list[Order]:
    """Market orders on the planned side that were made while it was sent, if they come to the expected quantity."""
    found = [
        order
        for order in new
        if order.instrument_id == target.instrument_id
        and order.side is target.side
        and order.order_type is OrderType.MARKET
        and order.created_at is not None
        and since <= order.created_at <= until
        and not order.was_refused
    ]
    quantities = [order.quantity for order in found if order.quantity is not None]
    expected = row.expected_quantity or target.order_quantity
    return found if found and len(quantities) == len(found) and exact_sum(quantities) == expected else []


def _may_explain(order: Order, target: CloseTarget, since: datetime) -> bool:
    """Whether an order may have emptied the position since then, or may yet trade more than it held."""
    opposite = OrderSide.BUY if target.side is OrderSide.SELL else OrderSide.SELL
    if order.instrument_id not in (None, target.instrument_id) or order.side is opposite or order.was_refused:
        return False
    moved_at = order.updated_at or order.created_at
    return order.is_open or (order.filled_quantity != 0 and (moved_at is None or moved_at >= since))


def _left_of(target: CloseTarget | HeldTarget, book: Book) -> Decimal | None:
    """The signed quantity still held, or None where it is not known, or is no one number."""
    if isinstance(target, HeldTarget) and target.is_everything:
        flat = book.is_complete and all(p.quantity == 0 for p in book.positions if p.is_closable)
        return Decimal(0) if flat else None
    held = book.by_id.get(target.instrument_id)
    if held is not None:
        return held.quantity
    alike = () if target.has_namesakes else book.spelled(target.symbol)
    is_listed_anew = any(label(each.name) == target.symbol for each in alike)
    return Decimal(0) if book.is_complete and not is_listed_anew else None
