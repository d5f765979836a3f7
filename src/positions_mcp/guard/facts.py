"""What is known when a plan is made or sent: the book, open orders, instructions, and the guard's own record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instructions import Instruction
from positions_mcp.domain.operations import Operation
from positions_mcp.domain.orders import Order
from positions_mcp.domain.outstanding import Outstanding
from positions_mcp.domain.plans import Kind, Mode
from positions_mcp.domain.positions import Book
from positions_mcp.domain.sessions import new_york_day
from positions_mcp.domain.supervision import Halt
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


@dataclass(frozen=True, slots=True)
class Record:
    """The guard's own record of one account, as the store has it."""

    used_today: Decimal
    halt: Halt | None
    unfinished: tuple[Operation, ...]

    def without(self, operation_id: str) -> tuple[Operation, ...]:
        """Unfinished operations other than this one."""
        return tuple(operation for operation in self.unfinished if operation.operation_id != operation_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules look at. None means it could not be read, and the rules say so."""

    book: Book
    open_orders: tuple[Order, ...] | None
    outstanding: Outstanding | None
    record: Record
    instructions: tuple[Instruction, ...] | None = None
    """As listed. Read where an option is held, or where they are what it is about."""

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

        Raises UpstreamError where the book itself cannot be read.
        """
        book = await self._positions.read_book(account_id)
        about_instructions = kind is not None and not kind.is_close
        matter = about_instructions or any(position.is_option for position in book.positions)
        listed = await self._instructions_of(account_id) if matter else ()
        now = self._market_clock.now()
        return Facts(
            book=book,
            open_orders=await self.open_orders(account_id),
            outstanding=None if listed is None else Outstanding(listed, now=now, calendar=self._calendar),
            record=await in_thread(self.record, self._store, account_id),
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

    async def open_orders(
        self, account_id: AccountId, instrument_ids: Iterable[InstrumentId] = ()
    ) -> tuple[Order, ...] | None:
        """Orders that may still fill; None where they cannot be read."""
        if self._orders is None:
            return None
        try:
            orders = await self._orders.read_orders(account_id, instrument_ids=tuple(instrument_ids))
        except UpstreamError:
            return None
        return tuple(order for order in orders if order.is_open)

    async def _instructions_of(self, account_id: AccountId) -> tuple[Instruction, ...] | None:
        """The instructions as listed; None where they cannot be read."""
        if self._instructions is None:
            return None
        try:
            listed = await self._instructions.get_position_instructions(account_id)
        except UpstreamError:
            return None
        return tuple(listed.data)
