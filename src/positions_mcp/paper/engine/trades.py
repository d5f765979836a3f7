"""Bookkeeping of trades, exercises and expiries.

One identity holds through everything, exactly: `cash + cost of all positions − realised profit` never changes, but
for what is paid in. Costs are kept to a millionth of a dollar; what rounding a part leaves over stays with the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.holdings import ZERO, Holding, Instrument, Movement, MovementKind
from positions_mcp.paper.ledger import Ledger

_FINEST = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Trade:
    """Units bought (`quantity` above zero) or sold at `price` a share, at an instant of a trading day.

    `carried` is cost that comes along from an exercised option: it is no cash, but part of what the shares cost.
    `amount` is what is paid in all where that is not units × price × multiplier to the last digit.
    """

    account: int
    instrument: Instrument
    quantity: Decimal
    price: Decimal
    day: date
    at: datetime
    order_id: str = ""
    carried: Decimal = ZERO
    amount: Decimal | None = None

    @property
    def paid(self) -> Decimal:
        """The cash that goes out for it; below zero it comes in."""
        return self.quantity * self.price * self.instrument.multiplier if self.amount is None else self.amount


def book_trade(ledger: Ledger, trade: Trade) -> None:
    """Changes position and cash; what closes a position realises its profit."""
    account, instrument, quantity, paid = trade.account, trade.instrument, trade.quantity, trade.paid
    before = ledger.holdings.get((account, instrument.symbol))
    held = before or Holding(account, instrument.symbol, ZERO, ZERO)
    cost = paid + trade.carried
    closing = min(abs(quantity), abs(held.quantity)) if held.quantity * quantity < 0 else ZERO
    released = _part(held.cost, closing, abs(held.quantity))
    spent = _part(cost, closing, abs(quantity))
    profit = -spent - released if closing else ZERO
    changed = replace(held, quantity=held.quantity + quantity, cost=held.cost - released + cost - spent)
    ledger.put_holding(_with_profit(changed, profit, trade.day))
    ledger.pay(account, -paid, profit)
    kind: MovementKind = "fill" if trade.order_id else "exercise"
    number, symbol = len(ledger.movements) + 1, instrument.symbol
    ledger.add_movement(
        Movement(number, trade.at, kind, account, symbol, quantity, trade.price, -paid, before, trade.order_id)
    )


def release(
    ledger: Ledger, holding: Holding, units: Decimal, at: datetime, kind: MovementKind, *, received: Decimal = ZERO
) -> Decimal:
    """Takes units out of a position without a trade; returns the signed cost that leaves with them.

    `received` is the cash that comes in for them (below zero: goes out), which the caller books.
    """
    cost = _part(holding.cost, units, abs(holding.quantity))
    left = holding.quantity - units if holding.quantity > 0 else holding.quantity + units
    ledger.put_holding(replace(holding, quantity=left, cost=holding.cost - cost))
    number, gone = len(ledger.movements) + 1, left - holding.quantity
    ledger.add_movement(Movement(number, at, kind, holding.account, holding.symbol, gone, ZERO, received, holding))
    return cost


def exercise(ledger: Ledger, holding: Holding, contracts: Decimal, at: datetime) -> None:
    """Exercises long contracts, or has short ones assigned: shares change hands at the strike.

    What was paid or received for the option becomes part of the shares' cost.
    """
    instrument = ledger.instruments[holding.symbol]
    contract = instrument.contract
    if contract is None or contracts <= 0:
        return
    long, call = holding.quantity > 0, contract.right == "call"
    premium = release(ledger, holding, contracts, at, "exercise")
    sign = 1 if long == call else -1
    shares, amount = sign * contracts * instrument.shares, sign * contracts * contract.strike * instrument.multiplier
    underlying, price = ledger.underlying(instrument), contract.strike * instrument.multiplier / instrument.shares
    day = new_york_day(at)
    book_trade(ledger, Trade(holding.account, underlying, shares, price, day, at, carried=premium, amount=amount))


def settle_in_cash(ledger: Ledger, holding: Holding, contracts: Decimal, points: Decimal, at: datetime) -> None:
    """Exercises long index options, or has short ones assigned: the points in the money are paid in dollars."""
    if contracts <= 0:
        return
    value = contracts * points * ledger.instruments[holding.symbol].multiplier
    cash = value if holding.quantity > 0 else -value
    premium = release(ledger, holding, contracts, at, "exercise", received=cash)
    ledger.pay(holding.account, cash, cash - premium)


def expire_worthless(ledger: Ledger, holding: Holding, at: datetime) -> None:
    """Lets what is left of an option position go; its cost is the loss, or what was received the profit."""
    cost = release(ledger, holding, abs(holding.quantity), at, "expiry")
    ledger.pay(holding.account, ZERO, -cost)


def _with_profit(holding: Holding, profit: Decimal, day: date) -> Holding:
    if not profit:
        return holding
    before = holding.realized_today if holding.realized_day == day else ZERO
    return replace(holding, realized_today=before + profit, realized_day=day)


def _part(amount: Decimal, units: Decimal, all_units: Decimal) -> Decimal:
    if units == all_units:
        return amount
    return (amount * units / all_units).quantize(_FINEST, ROUND_DOWN)
