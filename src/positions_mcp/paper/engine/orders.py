"""Closing orders and their lives: PENDING_NEW → NEW → PARTIALLY_FILLED → FILLED, or an end on the way.

An order knows its future from the moment it is placed. Outside the session it waits, QUEUED, for the next one. What
has not filled when the session closes expires. Orders only ever reduce a position: what is no longer there is not
sold.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.trades import Trade, book_trade
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.holdings import ZERO, Behaviour, Holding, Instrument
from positions_mcp.paper.ledger import Delays, Ledger, order_parts
from positions_mcp.paper.market import Market
from positions_mcp.paper.model import Order, OrderStatus, Side, Step

_WHOLE = Decimal(1)


def place_close(moment: Moment, holding: Holding, quantity: Decimal, order_id: str, conduct: Behaviour) -> Order:
    """Places a market order that closes `quantity` units of a position, and returns it as the exchange answers it.

    It fares as `conduct` says.
    """
    ledger, now = moment.ledger, moment.now
    instrument = ledger.instruments[holding.symbol]
    order = _order(moment, holding, "SELL" if holding.quantity > 0 else "BUY", quantity, order_id)
    refusal = _refusal(moment, instrument, quantity, conduct)
    order = _ended(order, OrderStatus.REJECTED, now, refusal) if refusal else _with_future(moment, order, conduct)
    ledger.put_order(order)
    return order


def _order(moment: Moment, holding: Holding, side: Side, quantity: Decimal, order_id: str) -> Order:
    return Order(
        id=order_id,
        number=len(moment.ledger.orders) + 1,
        account=holding.account,
        symbol=holding.symbol,
        side=side,
        quantity=quantity,
        status=OrderStatus.PENDING_NEW,
        created_at=moment.now,
        updated_at=moment.now,
        venue=moment.ledger.instruments[holding.symbol].venue,
    )


def _refusal(moment: Moment, instrument: Instrument, quantity: Decimal, behaviour: Behaviour) -> str:
    if not quantity:
        return "No quantity is available to close: all of it is locked by open orders or instructions"
    if behaviour.rejects == "at_once":
        return behaviour.reason or "Rejected by the venue"
    if instrument.contract and moment.now >= moment.market.last_trade(instrument):
        return "The contract no longer trades"
    if moment.price(instrument) is None:
        return "There is no market in this instrument"
    return ""


def _with_future(moment: Moment, order: Order, behaviour: Behaviour) -> Order:
    session = moment.market.session_at(moment.now)
    start, delays = moment.now, moment.ledger.facts.delays
    steps: list[Step] = []
    if session is None:
        session = moment.market.next_session(start)
        start = session.opens
        steps.append(Step(start, "release"))
        order = replace(order, status=OrderStatus.QUEUED, releases_at=start)
    steps.append(Step(start + delays.acknowledge, "acknowledge"))
    if behaviour.rejects == "later":
        steps.append(Step(start + delays.acknowledge, "reject"))
    else:
        steps.extend([] if moment.is_halted(order) else _fills(start, delays, order.quantity, behaviour))
    in_time = [step for step in steps if step.at < session.closes]
    return replace(order, steps=(*in_time, Step(session.closes, "expire")))


def stop_filling(ledger: Ledger, symbol: str) -> None:
    """Takes the fills out of the future of every order in a symbol, or in an option over it: it is halted."""
    for order in ledger.open_orders():
        if _is_in(order, symbol, ledger):
            ledger.put_order(replace(order, steps=tuple(step for step in order.steps if step.kind != "fill")))


def resume_orders(moment: Moment, symbol: str) -> None:
    """Lets every market order that a halt of a symbol kept waiting fill, as if it had come now."""
    ledger = moment.ledger
    for order in ledger.open_orders():
        waits = order.order_type == "MARKET" and not any(step.kind in ("fill", "reject") for step in order.steps)
        if waits and _is_in(order, symbol, ledger) and not moment.is_halted(order):
            start = max([moment.now, *(step.at for step in order.steps if step.kind == "release")])
            fills = _fills(start, ledger.facts.delays, order.leaves, Behaviour())
            end = next((step.at for step in order.steps if step.kind == "expire"), None)
            in_time = [step for step in fills if end is None or step.at < end]
            ledger.put_order(replace(order, steps=tuple(sorted((*order.steps, *in_time), key=lambda step: step.at))))


def _is_in(order: Order, symbol: str, ledger: Ledger) -> bool:
    """Whether an order of one instrument is in a symbol, or in an option over it."""
    return order.symbol is not None and symbol in (order.symbol, ledger.instruments[order.symbol].underlying_symbol)


def _fills(start: datetime, delays: Delays, quantity: Decimal, behaviour: Behaviour) -> list[Step]:
    """When how much of an order fills: in two halves, or in as many parts as its behaviour says."""
    filling = quantity if behaviour.fills >= 1 else (quantity * behaviour.fills).quantize(_WHOLE, ROUND_DOWN)
    times = [start + delays.first_fill, start + delays.last_fill]
    if behaviour.parts:
        each = timedelta(seconds=float(behaviour.over / behaviour.parts))
        times = [start + delays.acknowledge + each * number for number in range(1, behaviour.parts + 1)]
    done, steps = ZERO, []
    for number, at in enumerate(times, 1):
        so_far = filling if number == len(times) else (filling * number / len(times)).quantize(_WHOLE, ROUND_DOWN)
        if so_far > done:
            steps.append(Step(at, "fill", so_far - done))
        done = max(so_far, done)
    return steps


def take_step(ledger: Ledger, market: Market, order: Order) -> None:
    """Lets the next thing happen to an open order."""
    step, order = order.steps[0], replace(order, steps=order.steps[1:])
    match step.kind:
        case "release":
            ledger.put_order(replace(order, status=OrderStatus.PENDING_NEW, updated_at=step.at))
        case "acknowledge":
            ledger.put_order(replace(order, status=OrderStatus.NEW, updated_at=step.at))
        case "reject":
            reason = ledger.instruments[order.symbol or ""].behaviour.reason or "Rejected by the venue"
            ledger.put_order(_ended(order, OrderStatus.REJECTED, step.at, reason))
        case "expire":
            ledger.put_order(_ended(order, OrderStatus.EXPIRED, step.at, "The session closed"))
        case "cancel":
            ledger.put_order(_ended(order, OrderStatus.CANCELED, step.at, "Cancelled as requested"))
        case "fill":
            _fill(ledger, market, order, step)


def _fill(ledger: Ledger, market: Market, order: Order, step: Step) -> None:
    instrument = ledger.instruments[order.symbol or ""]
    holding = ledger.holdings.get((order.account, instrument.symbol))
    moment = Moment(ledger, market, step.at)
    price = moment.price(instrument)
    units = min(step.quantity, order.leaves, _reducible(holding, order))
    if price is None or not units:
        ledger.put_order(_ended(order, OrderStatus.CANCELED, step.at, "There is nothing left to close"))
        return
    order = replace(
        order, filled=order.filled + units, filled_value=order.filled_value + units * price, updated_at=step.at
    )
    if order.filled == order.quantity:
        order = replace(order, status=OrderStatus.FILLED, steps=())
    elif order.status is not OrderStatus.PENDING_CANCEL:
        order = replace(order, status=OrderStatus.PARTIALLY_FILLED)
    signed = units if order.side == "BUY" else -units
    book_trade(ledger, Trade(order.account, instrument, signed, price, moment.trading_day, step.at, order.id))
    ledger.put_order(order)


def _reducible(holding: Holding | None, order: Order) -> Decimal:
    if holding is None or (holding.quantity > 0) != (order.side == "SELL"):
        return ZERO
    return abs(holding.quantity)


def request_cancel(moment: Moment, account: int, order_id: str) -> Order:
    """Asks for an open order to be cancelled. It ends a moment later, unless it fills before.

    Raises Refusal: 404 if the account has no such order; 409 once it has ended, or a cancel is under way.
    """
    order = moment.ledger.orders.get(order_id.lower())
    if order is None or order.account != account:
        raise Refusal(404, "order not found")
    if not order.is_open or order.status is OrderStatus.PENDING_CANCEL:
        raise Refusal(409, f"the order cannot be cancelled: it is {order.status}")
    ending = Step(moment.now + moment.ledger.facts.delays.acknowledge, "cancel")
    before = [step for step in order.steps if step.kind == "fill" and step.at <= ending.at]
    order = replace(order, status=OrderStatus.PENDING_CANCEL, updated_at=moment.now, steps=(*before, ending))
    moment.ledger.put_order(order)
    return order


def cancel_open(ledger: Ledger, account: int, symbols: set[str], now: datetime, why: str) -> list[Order]:
    """Cancels every open order of the account that trades one of the symbols, whole."""
    cancelled = []
    for order in ledger.open_orders():
        if order.account == account and not symbols.isdisjoint(order.symbols):
            cancelled.append(_ended(order, OrderStatus.CANCELED, now, why))
            ledger.put_order(cancelled[-1])
    return cancelled


def end_expired(ledger: Ledger, account: int, symbol: str, now: datetime) -> None:
    """Ends every open order in a contract that has expired."""
    for order in ledger.open_orders_in(account, symbol):
        ledger.put_order(_ended(order, OrderStatus.EXPIRED, now, "The contract has expired"))


def cancel_uncovered(ledger: Ledger, account: int, symbol: str, now: datetime) -> None:
    """Cancels, newest first, open orders that would close more of a position than an exercise or assignment has left.

    An order that opens a position, or adds to one, promises nothing and stays.
    """
    holding = ledger.holdings.get((account, symbol))
    held = holding.quantity if holding else ZERO
    promised = ZERO
    for order in ledger.open_orders_in(account, symbol):
        for part, side, ratio in order_parts(order):
            if part != symbol:
                continue
            reduces = held != 0 and (held > 0) == (side == "SELL")
            promised += order.leaves * ratio if reduces else ZERO
            closes_nothing = order.order_type == "MARKET" and not reduces
            if closes_nothing or promised > abs(held):
                promised -= order.leaves * ratio if reduces else ZERO
                ledger.put_order(_ended(order, OrderStatus.CANCELED, now, "There is nothing left to close"))
                break


def trade_elsewhere(moment: Moment, holding: Holding, units: Decimal, order_id: str) -> Order:
    """Adds units to a position by a trade that somebody else makes now (for the fault `changed_quantity`)."""
    ledger, now = moment.ledger, moment.now
    instrument = ledger.instruments[holding.symbol]
    price = moment.price(instrument) or ZERO
    order = replace(
        _order(moment, holding, "BUY" if holding.quantity > 0 else "SELL", units, order_id),
        status=OrderStatus.FILLED,
        filled=units,
        filled_value=units * price,
        details=("Traded in another session",),
    )
    ledger.put_order(order)
    signed = units if holding.quantity > 0 else -units
    book_trade(ledger, Trade(holding.account, instrument, signed, price, moment.trading_day, now, order.id))
    return order


def _ended(order: Order, status: OrderStatus, now: datetime, why: str) -> Order:
    return replace(order, status=status, updated_at=now, steps=(), details=(*order.details, why))
