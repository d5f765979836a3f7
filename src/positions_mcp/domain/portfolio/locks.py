"""What locks a position: open orders, exercise instructions, or what neither of them explains.

A position says how much of it is not available, and never why. Orders and instructions are listed elsewhere, and what
is known of them is held against that number: only what orders lock is freed by cancelling orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.orders import Order, OrderLeg
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import InstructionType, OrderSide
from positions_mcp.domain.exercise.instructions import Claim, Outstanding
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import ZERO, exact_product, exact_sum, plain
from positions_mcp.domain.text import first_of, label

_NAMED = 5
"""Orders or instructions that a sentence names at most."""


@dataclass(frozen=True, slots=True)
class OrderOn:
    """An open order that trades an instrument, alone or as one of its legs."""

    order: Order
    side: str | None
    quantity: Decimal | None
    """Units of the instrument that it may still trade; None is not said."""
    others: tuple[OrderLeg, ...] = ()
    """Its other legs."""

    @property
    def said(self) -> str:
        """`order 0b6f… (SELL 60)`."""
        several = ", one leg of several" if self.order.has_legs else ""
        return f"order {label(self.order.id)} ({_side(self.side)} {_quantity(self.quantity)}{several})"


@dataclass(frozen=True, slots=True)
class Locks:
    """How much of a position is locked, and by what. The three quantities add up to all that is not available."""

    able: tuple[OrderOn, ...]
    """Open orders that may trade it away: on the side that closes it, or on one that is not known."""
    orders: tuple[OrderOn, ...]
    """Those of them that may lock it."""
    claims: tuple[Claim, ...]
    by_orders: Decimal
    by_instructions: Decimal
    unexplained: Decimal
    """Locked by neither, as far as they were read."""

    @property
    def total(self) -> Decimal:
        return self.by_orders + self.by_instructions + self.unexplained

    def stays(self, *, cancel_orders: bool) -> Decimal:
        """What remains locked when orders are cancelled, or are not."""
        return self.by_instructions + self.unexplained if cancel_orders else self.total

    @property
    def orders_said(self) -> str:
        """`open orders: order 0b6f… (SELL 60)`; without the list where none is known by its id."""
        return "open orders" + (f": {first_of([each.said for each in self.orders], _NAMED)}" if self.orders else "")

    @property
    def instructions_said(self) -> str:
        """`EXERCISE 2 ACCEPTED, id 5d1c…`."""
        return first_of([claim_said(each) for each in self.claims], _NAMED)

    @property
    def said(self) -> str:
        """Everything that locks it, each with its quantity."""
        parts = []
        if self.by_orders:
            parts.append(f"{plain(self.by_orders)} by {self.orders_said}")
        if self.by_instructions:
            parts.append(f"{plain(self.by_instructions)} by the exercise instruction {self.instructions_said}")
        if self.unexplained:
            parts.append(f"{plain(self.unexplained)} by nothing that the orders and instructions read explain")
        return "; ".join(parts)


def locks_on(position: Holding, open_orders: Iterable[Order] | None, outstanding: Outstanding | None) -> Locks:
    """What locks a position. None stands for what could not be read.

    Instructions are believed first: they stay whatever happens to orders. What they leave is what open orders lock, as
    far as those are for so much. The rest is not explained, but where nothing else can lock: only a long option can be
    instructed, so of anything else it is an order that is not listed.
    """
    locked = position.locked_quantity or ZERO
    may_be_instructed = position.is_option and position.quantity > 0
    claims = outstanding.on(position.instrument_id) if outstanding is not None and may_be_instructed else None
    given_up = claims.of_type(InstructionType.DO_NOT_EXERCISE) if claims else ZERO
    instructed = ZERO
    if claims:
        instructed = locked if claims.has_unknown_quantity else min(locked, claims.exercising)
    rest = locked - instructed
    closing, found = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY, orders_on(position, open_orders or ())
    able = tuple(each for each in found if position.side_contradicts or each.side in (closing, None))
    by_orders = rest
    if may_be_instructed:
        known = open_orders is not None or outstanding is not None
        by_orders = min(rest, _most(able)) if open_orders is not None else rest if known else ZERO
    instructed += (also := min(rest - by_orders, given_up))
    return Locks(
        able=able,
        orders=able if by_orders else (),
        claims=claims.each if claims and instructed else (),
        by_orders=by_orders,
        by_instructions=instructed,
        unexplained=rest - by_orders - also,
    )


def orders_on(position: Holding, open_orders: Iterable[Order]) -> tuple[OrderOn, ...]:
    """The open orders that trade an instrument: on either side, and those of several legs with one in it.

    Where the legs of an order cannot be read, it may be any of them that are on its underlying.
    """
    found, underlying = [], position.underlying_instrument_id
    for order in open_orders:
        if not order.has_legs:
            if _is_it(position, order.instrument_id, order.symbol):
                found.append(OrderOn(order, order.side, order.leaves))
            continue
        legs = order.readable_legs
        mine = [leg for leg in legs if _is_it(position, leg.instrument_id, leg.symbol)]
        others = tuple(leg for leg in legs if leg not in mine)
        found += [OrderOn(order, leg.side, _units(order, leg), others) for leg in mine]
        on = order.underlying_instrument_id
        if not legs and (on == position.instrument_id or (position.is_option and on in (None, underlying))):
            found.append(OrderOn(order, None, None))
    return tuple(found)


def legs_said(order: Order, legs: Sequence[OrderLeg]) -> str:
    """`BUY 2 TSLA261218P00580000`, leg by leg."""
    return first_of(
        [
            f"{_side(leg.side)} {_quantity(_units(order, leg))} {label(leg.symbol or leg.instrument_id or 'unnamed')}"
            for leg in legs
        ],
        _NAMED,
    )


def claim_said(claim: Claim) -> str:
    """`EXERCISE 2 ACCEPTED, id 5d1c…`."""
    each = claim.instruction
    kind, status = label(each.instruction_type), label(each.status)
    return f"{kind} {_quantity(claim.quantity)} {status}, id {label(each.id)}"


def _most(orders: Sequence[OrderOn]) -> Decimal:
    """The most that they may lock: without end where one does not say how much."""
    known = [each.quantity for each in orders if each.quantity is not None]
    return exact_sum(known) if len(known) == len(orders) else Decimal("Infinity")


def _is_it(position: Holding, instrument_id: str | None, symbol: str | None) -> bool:
    if instrument_id:
        return instrument_id.lower() == position.instrument_id.lower()
    contract = parse_option_symbol(symbol) if symbol else None
    return bool(symbol) and (contract == position.contract if contract else symbol == position.symbol)


def _units(order: Order, leg: OrderLeg) -> Decimal | None:
    return None if order.leaves is None or leg.ratio is None else exact_product(order.leaves, leg.ratio)


def _side(side: str | None) -> str:
    return label(side) if side else "side not stated"


def _quantity(quantity: Decimal | None) -> str:
    return "?" if quantity is None else plain(quantity)
