"""What must hold after every run of the campaign, by the exchange's own record."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.guard import Guard
from positions_mcp.paper import PaperExchange


async def closed_again(
    operation_id: str, guard: Guard, store: Any, exchange: PaperExchange, *, caller: str
) -> list[str]:
    """What a new close would sell twice, that nobody but its caller would have to allow."""
    operation = store.operation(operation_id)
    closed = closed_at(exchange)
    names = [t.symbol for t in operation.plan.targets if closed[t.symbol.replace(" ", "")]]
    found = []
    for name in names:
        request = CloseRequest(account_id=operation.account_id, instruments=(name,), cancel_orders=False)
        with suppress(PositionsError):  # it is flat, as the book says
            verdict = (await guard.plan(request, caller=caller)).verdict
            if verdict is None or not (verdict.refusals or verdict.needs_desk):
                found.append(f"{name} was closed, and closing it again needs no supervisor")
    return found


def closed_at(exchange: PaperExchange) -> Counter[str]:
    """How often each symbol was closed by an order that was not rejected."""
    with exchange.reading() as moment:
        made = {number for effect in moment.ledger.effects for number in effect.made}
        orders = [order for order in moment.ledger.orders.values() if order.id in made]
    return Counter((order.symbol or "").replace(" ", "") for order in orders if order.status != "REJECTED")


def contradictions(operation: Operation, exchange: PaperExchange) -> list[str]:
    """Where what was journalled and what the exchange has done do not agree."""
    closed = closed_at(exchange)
    found = [f"{name} was closed {times} times" for name, times in closed.items() if times > 1]
    requests = Counter(effect.operation for effect in exchange.effects())
    if requests["close_positions"] > 1:
        found.append("the account was closed twice")
    for target, row in zip(operation.plan.targets, operation.rows, strict=True):
        done = closed[target.symbol.replace(" ", "")]
        if done and row.state in (RowState.NOT_SENT, RowState.REJECTED):
            found.append(f"{target.symbol} was closed and the journal says {row.state}")
        if not done and row.state in (RowState.SUBMITTED, RowState.QUEUED):
            found.append(f"{target.symbol} was not closed and the journal says {row.state}")
        if row.state is RowState.SENDING:
            found.append(f"{target.symbol} is still SENDING after its process died")
    return found
