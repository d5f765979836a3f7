"""Lets time pass: everything that is due happens, in order, at the instant at which it was due.

What happens depends on the ledger and the market alone, so it does not matter which process looks first, or when.
"""

from __future__ import annotations

import heapq
from datetime import datetime

from positions_mcp.paper.engine.company import happen
from positions_mcp.paper.engine.expiry import process_evening
from positions_mcp.paper.engine.instructions import clearing_answers
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.orders import take_step
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import Market

_ORDER, _INSTRUCTION, _EVENING, _COMPANY = 0, 1, 2, 3
Due = tuple[datetime, int, int, str]


def next_due(ledger: Ledger, market: Market) -> datetime:
    """When something happens next."""
    return min(_all_due(ledger, market))[0]


def advance(moment: Moment) -> None:
    """Lets everything happen that is due until `now`, inclusive."""
    ledger, market, now = moment.ledger, moment.market, moment.now
    due = _all_due(ledger, market)
    heapq.heapify(due)
    while due and due[0][0] <= now:
        at, kind, _, key = heapq.heappop(due)
        if kind in (_EVENING, _COMPANY):
            if kind == _EVENING:
                process_evening(ledger, market, at)
            else:
                happen(ledger, market, key, at)
            ledger.happened(at)
            due = _all_due(ledger, market)
            heapq.heapify(due)
            continue
        if kind == _ORDER:
            order = ledger.orders[key]
            if not order.steps or order.steps[0].at != at:
                continue
            take_step(ledger, market, order)
            if following := ledger.orders[key].steps:
                heapq.heappush(due, (following[0].at, _ORDER, order.number, key))
        else:
            clearing_answers(ledger, ledger.instructions[key])
        ledger.happened(at)


def _all_due(ledger: Ledger, market: Market) -> list[Due]:
    due: list[Due] = [(market.next_processing(ledger.facts.as_of), _EVENING, 0, "")]
    due.extend((market.morning(day), _COMPANY, 0, symbol) for symbol, day in ledger.next_events())
    due.extend((order.steps[0].at, _ORDER, order.number, order.id) for order in ledger.open_orders() if order.steps)
    due.extend(
        (instruction.due_at, _INSTRUCTION, instruction.number, instruction.id)
        for instruction in ledger.standing_instructions()
        if instruction.due_at is not None
    )
    return due
