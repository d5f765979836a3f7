"""What is known when a plan is made or sent: the book, open orders, instructions, and the guard's own record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import anyio

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.exercise.outstanding import Outstanding
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import InstructionTarget, Kind, Mode
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.blocking import in_thread
from positions_mcp.ports import (
    Clock,
    InstructionsReader,
    Ledger,
    MarketCalendar,
    OperationStore,
    OrdersReader,
    PositionsReader,
)

_LATEST = 200
"""Operations that are looked at for what one in doubt may have done, apart from those sent after it was planned."""


@dataclass(frozen=True, slots=True)
class Record:
    """The guard's own record of one account, as the store has it."""

    used_today: Decimal
    halt: Halt | None
    unfinished: tuple[Operation, ...]
    recent: tuple[Operation, ...] = ()
    """While an outcome is not known: other operations that may have been sent about when its request was, or since."""

    def without(self, operation_id: str) -> tuple[Operation, ...]:
        """Unfinished operations other than this one."""
        return tuple(operation for operation in self.unfinished if operation.operation_id != operation_id)

    def unlisted(self, operation_id: str) -> tuple[InstructionTarget, ...]:
        """Instructions of other operations that are being sent or may have been taken: no listing need show them."""
        return tuple(
            target
            for operation in self.without(operation_id)
            for target, row in zip(operation.plan.instructions, operation.rows, strict=False)
            if row.state is RowState.SENDING or row.is_in_doubt
        )

    def beside(self, operation_id: str) -> tuple[Operation, ...]:
        """Other operations that may have done what this one, in doubt, seems to have done."""
        known = {operation.operation_id: operation for operation in (*self.recent, *self.unfinished)}
        return tuple(operation for key, operation in known.items() if key != operation_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules look at. None means it could not be read, and the rules say so."""

    book: Book
    orders: tuple[Order, ...] | None
    """Every order of the account, read before the book: one that had filled by then shows in the book too."""
    outstanding: Outstanding | None
    record: Record
    instructions: tuple[Instruction, ...] | None = None
    """As listed, where an option is held or they are what it is about."""

    @property
    def open_orders(self) -> tuple[Order, ...] | None:
        """Orders that may still fill; None where orders could not be read."""
        return None if self.orders is None else tuple(order for order in self.orders if order.is_open)

    @property
    def open_order_ids(self) -> frozenset[str] | None:
        """The ids of orders that may still fill; None where orders could not be read."""
        return None if self.open_orders is None else frozenset(order.id for order in self.open_orders)


class FactReader:
    """Reads facts through the ports. What a deployment refuses to show is carried on without."""

    def __init__(
        self,
        *,
        mode: Mode,
        store: OperationStore,
        positions: PositionsReader,
        orders: OrdersReader | None,
        instructions: InstructionsReader | None,
        calendar: MarketCalendar,
        market_clock: Clock,
    ) -> None:
        self._mode = mode
        self._store = store
        self._positions = positions
        self._orders = orders
        self._instructions = instructions
        self._calendar = calendar
        self._market_clock = market_clock

    async def read(self, account_id: AccountId, kind: Kind | None = None) -> Facts:
        """The facts of one account, now, for an operation of some kind.

        The book is read last: what an order or an instruction takes from it meanwhile counts twice rather than never.

        Raises UpstreamError where the book itself cannot be read.
        """
        orders: tuple[Order, ...] | None = None
        listed: tuple[Instruction, ...] | None = None

        async def read_orders() -> None:
            nonlocal orders
            orders = await self._orders_of(account_id)

        async def read_instructions() -> None:
            nonlocal listed
            listed = await self._instructions_of(account_id)

        async with anyio.create_task_group() as side_by_side:
            side_by_side.start_soon(read_orders)
            side_by_side.start_soon(read_instructions)
        book = await self._positions.read_book(account_id)
        about_instructions = kind is not None and not kind.is_close
        if not about_instructions and not any(position.is_option for position in book.positions):
            listed = ()
        now = self._market_clock.now()
        return Facts(
            book=book,
            orders=orders,
            outstanding=None if listed is None else Outstanding(listed, now=now, calendar=self._calendar),
            record=await in_thread(self._whole_record, account_id),
            instructions=listed,
        )

    def record(self, ledger: Ledger, account_id: AccountId) -> Record:
        """The guard's own record of the account. Blocking."""
        today = new_york_day(self._market_clock.now())
        return Record(
            used_today=ledger.used(self._mode, account_id, today),
            halt=ledger.halt(),
            unfinished=ledger.unfinished(self._mode, account_id),
        )

    def _whole_record(self, account_id: AccountId) -> Record:
        record = self.record(self._store, account_id)
        in_doubt = [each.operation_id for each in record.unfinished if any(row.is_in_doubt for row in each.rows)]
        if not in_doubt:
            return record
        since = [sent for each in in_doubt for sent in self._store.sent_after_planning(each)]
        latest = self._store.operations(account_id=account_id, limit=_LATEST)
        return replace(record, recent=tuple(each for each in (*since, *latest) if each.plan.mode is self._mode))

    async def _orders_of(self, account_id: AccountId) -> tuple[Order, ...] | None:
        """Every order of the account; None where they cannot be read."""
        if self._orders is None:
            return None
        try:
            return await self._orders.read_orders(account_id)
        except UpstreamError:
            return None

    async def _instructions_of(self, account_id: AccountId) -> tuple[Instruction, ...] | None:
        """The instructions as listed; None where they cannot be read."""
        if self._instructions is None:
            return None
        try:
            listed = await self._instructions.get_position_instructions(account_id)
        except UpstreamError:
            return None
        return tuple(listed.data)
