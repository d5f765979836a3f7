"""A small deterministic exchange behind the guard's ports: one account, orders that fill when told, faults on demand.

It counts its own effects, so that "once" is proved from its side.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from domain.books import POSITIONS
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.enums import OrderSide, OrderStatus, OrderType, SecurityType, TimeInForce
from positions_mcp.domain.errors import ReadFailed, RequestRejected
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId, InstrumentId, OrderId
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.operation.records import Metadata, Problem, Response
from positions_mcp.ports import OnPage

ACCOUNT = AccountId(19816)
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""

Fault = Callable[[], Awaitable[None]]
"""Runs in place of, or before, an answer; usually raises."""


@dataclass(slots=True)
class StandingClock:
    """Tells the time it was set to."""

    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class CountingIds:
    """Makes UUIDs that count."""

    def __init__(self, start: int = 1) -> None:
        self._numbers = itertools.count(start)

    def new(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"


def instrument(number: int) -> InstrumentId:
    return InstrumentId(f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}")


def held(symbol: str, quantity: int, *, price: str | None = "10.00", number: int, **fields: Any) -> Position:
    """A position: market value is quantity × price × multiplier unless given."""
    contract = parse_option_symbol(symbol)
    multiplier = 100 if contract else 1
    value = None if price is None else Decimal(price) * quantity * multiplier
    row = {
        "account_id": ACCOUNT,
        "instrument_id": instrument(number),
        "symbol": symbol,
        "quantity": Decimal(quantity),
        "available_quantity": Decimal(abs(quantity)),
        "instrument_type": SecurityType.OPTION if contract else SecurityType.COMMON_STOCK,
        "instrument_price": None if price is None else Decimal(price),
        "market_value": value,
    }
    return POSITIONS.validate_python(row | fields)


@dataclass(slots=True)
class Exchange:
    """Implements the readers and the order writer. `effects` are the orders that closes made, by instrument."""

    clock: StandingClock
    positions: dict[InstrumentId, Position] = field(default_factory=dict)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    before: list[Fault] = field(default_factory=list)
    """Taken one by one before the effect of a write."""
    after: list[Fault] = field(default_factory=list)
    """Taken one by one after the effect of a write, before its answer."""
    between_reads: list[Callable[[], None]] = field(default_factory=list)
    """Taken one by one after the first of the next two reads of the book and the orders."""
    change_answer: Callable[[list[Order]], list[Order]] | None = None
    queue: bool = False
    reject: str = ""
    error: Problem | None = None
    """Stands beside the orders of an answer."""
    reads_fail: bool = False
    orders_fail: bool = False
    consistent: bool = True
    reading: dict[str, Any] = field(default_factory=dict)
    """What else is known of how the book was read."""
    closes_only_securities: bool = False
    on_write: Callable[[str], None] | None = None
    _ids: CountingIds = field(default_factory=lambda: CountingIds(900_000))

    def hold(self, *positions: Position) -> None:
        for position in positions:
            self.positions[position.instrument_id] = position

    def change(self, number: int, **fields: Any) -> None:
        position = self.positions[instrument(number)]
        self.positions[instrument(number)] = position._replace(**fields)

    async def read_book(
        self,
        account_id: AccountId,
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        on_page: OnPage | None = None,
    ) -> Book:
        if self.reads_fail:
            raise ReadFailed("The exchange does not answer.")
        rows = tuple(p for p in self.positions.values() if not instrument_ids or p.instrument_id in instrument_ids)
        self._something_happens()
        known = {"consistent": self.consistent, **self.reading}
        return Book(account_id=account_id, positions=rows, as_of=self.clock.now(), **known)

    async def read_orders(
        self,
        account_id: AccountId,
        *,
        order_ids: Sequence[OrderId] = (),
        instrument_ids: Sequence[InstrumentId] = (),
        statuses: Sequence[OrderStatus] = (),
    ) -> tuple[Order, ...]:
        if self.orders_fail:
            raise ReadFailed("Orders cannot be read.")
        found = tuple(
            order
            for order in self.orders.values()
            if (not instrument_ids or order.instrument_id in instrument_ids)
            and (not order_ids or order.id in order_ids)
            and (not statuses or order.status in statuses)
        )
        self._something_happens()
        return found

    async def read_orders_of_unknown_status(self, account_id: AccountId, *, since: datetime) -> tuple[Order, ...]:
        return tuple(order for order in await self.read_orders(account_id) if not order.status.is_known)

    async def find_order(self, account_id: AccountId, order_id: OrderId) -> Order | None:
        if self.orders_fail:
            raise ReadFailed("Orders cannot be read.")
        return self.orders.get(order_id)

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        return Response[list[Instruction]](data=self.instructions)

    async def close_position(
        self, account_id: AccountId, instrument_id: InstrumentId, cancel_orders: bool | None = None
    ) -> Response[list[Order]]:
        return await self._write(f"close {instrument_id} cancel_orders={cancel_orders}", [instrument_id])

    async def close_positions(self, account_id: AccountId, cancel_orders: bool | None = None) -> Response[list[Order]]:
        return await self._write(f"close all cancel_orders={cancel_orders}", list(self.positions))

    async def cancel_order(self, account_id: AccountId, order_id: OrderId) -> Response[Order]:
        self.requests.append(f"cancel {order_id}")
        if self.before:
            await self.before.pop(0)()
        order = self.orders[order_id]
        if not order.is_open:
            raise RequestRejected(f"the order cannot be cancelled: it is {order.status}", status=409)
        self.orders[order_id] = order.model_copy(update={"status": OrderStatus.CANCELED})
        if self.on_write:
            self.on_write(f"cancel {order_id}")
        if self.after:
            await self.after.pop(0)()
        return Response[Order](data=order.model_copy(update={"status": OrderStatus.PENDING_CANCEL}))

    def _something_happens(self) -> None:
        if self.between_reads:
            self.between_reads.pop(0)()

    def fill(self, number: int, quantity: int | None = None) -> None:
        """Fill every open order of an instrument, wholly or `quantity` of it."""
        key = instrument(number)
        for order in [o for o in self.orders.values() if o.instrument_id == key and o.is_open]:
            done = order.leaves_quantity if quantity is None else Decimal(quantity)
            left = order.leaves_quantity - done
            status = OrderStatus.FILLED if left == 0 else OrderStatus.PARTIALLY_FILLED
            filled = order.filled_quantity + done
            update = {"status": status, "leaves_quantity": left, "filled_quantity": filled, "queue_state": None}
            self.orders[order.id] = order.model_copy(update=update)
            signed = done if order.side is OrderSide.BUY else -done
            position = self.positions[key]
            if position.quantity + signed == 0:
                del self.positions[key]
            else:
                self.positions[key] = position._replace(quantity=position.quantity + signed)

    def end(self, number: int, status: OrderStatus, detail: str = "") -> None:
        """End every open order of an instrument without another fill."""
        for order in [o for o in self.orders.values() if o.instrument_id == instrument(number) and o.is_open]:
            self.orders[order.id] = order.model_copy(update={"status": status, "details": [detail] if detail else []})

    async def _write(self, request: str, closing: Sequence[InstrumentId]) -> Response[list[Order]]:
        self.requests.append(request)
        if self.before:
            await self.before.pop(0)()
        held = [self.positions[key] for key in closing if key in self.positions]
        made = [self._order(each) for each in held if each.is_closable or not self.closes_only_securities]
        self.effects.extend(str(order.instrument_id) for order in made)
        if self.on_write:
            self.on_write(request)
        if self.after:
            await self.after.pop(0)()
        answered = self.change_answer(made) if self.change_answer else made
        return Response[list[Order]](data=answered, error=self.error, metadata=Metadata(request_id="req-1"))

    def _order(self, position: Position) -> Order:
        status = OrderStatus.QUEUED if self.queue else OrderStatus.PENDING_NEW
        if self.reject:
            status = OrderStatus.REJECTED
        order = Order(
            id=OrderId(self._ids.new()),
            account_id=ACCOUNT,
            status=status,
            side=OrderSide.SELL if position.quantity > 0 else OrderSide.BUY,
            quantity=abs(position.quantity),
            leaves_quantity=abs(position.quantity),
            filled_quantity=Decimal(0),
            symbol=position.symbol,
            instrument_id=position.instrument_id,
            instrument_type=position.instrument_type,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
            details=[self.reject] if self.reject else None,
        )
        self.orders[order.id] = order
        return order


def raising(error: Exception) -> Fault:
    """A fault that raises."""

    async def fail() -> None:
        raise error

    return fail


def noted_in(file: Path, number: int) -> Callable[[str], None]:
    """What an exchange does about each write where several processes share one list of them."""

    def note(request: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{number} {request}\n".encode())
        os.close(descriptor)

    return note
