"""What is read before a decision: the book, open orders, instructions, and the guard's own record of the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import anyio

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import InvalidInput, RequestRejected, UpstreamError
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, sent_for
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.exercise.terms import sized
from positions_mcp.domain.ids import AccountId, InstrumentId, OrderId, is_uuid
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import InstructionTarget, Kind
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.portfolio.resolve import Holdings
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.expiration import (
    MarketFacts,
    ReadInTask,
    concerned,
    read_beside,
    read_for_close,
    shorts_beside,
)
from positions_mcp.guard.orders import MOST_IDS, OrdersListed
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Ledger
from positions_mcp.signing.rosters import RosterChain

T = TypeVar("T")
Names = Sequence[str] | Callable[[Book], Sequence[str]]
_TAKEN = (RowState.SENT, RowState.DEVIATED)
_LATEST = 200
"""Operations that are looked at for what one in doubt may have done, apart from those sent after it was planned."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The guard's own record of one account, as the store has it."""

    used_today: Decimal = Decimal(0)
    halts: tuple[Halt, ...] = ()
    unfinished: tuple[Operation, ...] = ()
    rosters: RosterChain = field(default_factory=RosterChain)
    """Everybody who ever could decide."""
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
            if row.state is RowState.SENDING or row.may_stand_unseen
        )

    def beside(self, operation_id: str) -> tuple[Operation, ...]:
        """Other operations that may have done what this one, in doubt, seems to have done."""
        known = {operation.operation_id: operation for operation in (*self.recent, *self.unfinished)}
        return tuple(operation for key, operation in known.items() if key != operation_id)


@dataclass(frozen=True, slots=True)
class Account:
    """Everything the rules look at. None means that it was not read, or could not be, and the rules say so."""

    book: Book
    orders: tuple[Order, ...] | None
    """Read before the book: an order that had filled by then shows in the book too."""
    outstanding: Outstanding | None
    record: AccountRecord
    instructions: tuple[Instruction, ...] | None = None
    """As listed, where an option is held or they are what it is about."""
    instruction_doubts: tuple[str, ...] = ()
    """What their listing came without, in words: what rows that were left out claim is not known."""
    beside: MarketFacts = field(default_factory=MarketFacts)
    """What neighbours say of options, as far as what it is about needs that."""

    _worked_out: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def unlisted(self, operation_id: str) -> tuple[InstructionTarget, ...]:
        """Instructions of other operations that may stand although the listing does not show them."""
        return (*self.record.unlisted(operation_id), *self.not_listed_yet(operation_id))

    def not_listed_yet(self, operation_id: str = "") -> tuple[InstructionTarget, ...]:
        """Those of them that were taken today: a listing may be behind."""
        shown, today = {each.id.lower() for each in self.instructions or ()}, new_york_day(self.book.as_of)
        return tuple(
            target
            for operation in self.record.without(operation_id)
            for target, row in zip(operation.plan.instructions, operation.rows, strict=False)
            if row.state in _TAKEN and row.instruction_id and row.instruction_id.lower() not in shown
            if row.sent_at_market is not None and new_york_day(row.sent_at_market) == today
        )

    def worked_out(self, name: str, work: Callable[[], T]) -> T:
        """What is worked out of it under a name, once: it does not change while row after row is judged by it."""
        if name not in self._worked_out:
            self._worked_out[name] = work()
        found: T = self._worked_out[name]
        return found

    @property
    def open_orders(self) -> tuple[Order, ...] | None:
        """Orders that may still fill; None where orders could not be read."""
        orders = self.orders
        if orders is None:
            return None
        return self.worked_out("open orders", lambda: tuple(order for order in orders if order.is_open))

    @property
    def open_order_ids(self) -> frozenset[str] | None:
        """The ids of orders that may still fill; None where orders could not be read."""
        orders = self.open_orders
        if orders is None:
            return None
        return self.worked_out("their ids", lambda: frozenset(order.id for order in orders))


class _Listed(NamedTuple):
    """The instructions that could be read, and what their listing came without, in words."""

    rows: tuple[Instruction, ...] | None
    doubts: tuple[str, ...] = ()


class AccountReader:
    """Reads an account through the ports, and of it what is needed. What a deployment refuses is carried on without.

    The book is read last: what an order or an instruction takes from it meanwhile counts twice rather than never.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._orders = OrdersListed(deps)

    async def to_decide(self, account_id: AccountId, kind: Kind, names: Names = (), *, recent: bool = False) -> Account:
        """For the rules: every order that may still fill, whatever its instrument and age, and every instruction.

        `names` are what it is about; what is to be chosen from the book is chosen from the one that is read here.
        Of instructions also what lies beside the book: terms, prices and dividends of the options named, and balances.
        With `recent`, right before sending, also those of the last days in statuses that this program does not know to
        ask for. Raises UpstreamError where the book itself cannot be read.
        """
        reader = None if kind.is_close else self._deps.neighbours.balances
        async with anyio.create_task_group() as tasks:
            orders = ReadInTask(tasks, lambda: self._orders.that_may_fill(account_id, recent=recent))
            listing = ReadInTask(tasks, lambda: self._instructions(account_id))
            balances = ReadInTask(
                tasks, lambda: known("balances", reader.read_balances(account_id) if reader else None)
            )
        book = await self._deps.positions.read_book(account_id)
        names = names(book) if callable(names) else names
        listed = listing.value._replace(rows=()) if kind.is_close and not book.options else listing.value
        account = await self._account(book, orders.value, listed)
        if kind.is_close:
            closing = _named(book, names) if kind is Kind.CLOSE_POSITIONS and names else None
            neighbours, clock = self._deps.neighbours, self._deps.market_clock
            beside = await read_for_close(neighbours, book, clock, closing=closing)
        else:
            money = None if isinstance(balances.value, NotKnown) else balances.value
            beside = replace(await self._beside(account, names), balances=money)
        return replace(account, book=sized(book, beside.contracts), beside=beside)

    async def to_follow(self, operations: Sequence[Operation]) -> Account:
        """For what became of operations of one account: the orders of closes, the instructions. Raises as `to_decide`.

        Where only closes of single instruments are followed, the book is of those. That one of them is gone is believed
        of the whole book alone, which is read at once where orders have just ended.
        """
        account_id, closes = operations[0].account_id, [each for each in operations if each.plan.kind.is_close]
        orders, listed = None, _Listed(None)
        # A book alone still says what is left: whatever else is slow leaves it half of the time there is.
        with anyio.CancelScope(deadline=(anyio.current_time() + anyio.current_effective_deadline()) / 2):
            if closes:
                orders = await self._orders.of(account_id, closes)
            if len(closes) < len(operations):
                listed = await self._instructions(account_id)
        ended = frozenset(order.id for order in orders or () if not order.is_open)
        book = await self._book_of(account_id, operations, ended)
        # What others may have done is asked of what is in doubt alone.
        in_doubt = any(row.is_in_doubt for operation in operations for row in operation.rows)
        return await self._account(book, orders, listed, None if in_doubt else AccountRecord())

    async def _book_of(self, account_id: AccountId, operations: Sequence[Operation], ended: frozenset[OrderId]) -> Book:
        read = self._deps.positions.read_book
        followed = [
            (target.instrument_id, row)
            for operation in operations
            for target, row in zip(operation.plan.closes, operation.rows, strict=False)
            if row.is_unfinished
        ]
        wanted = {key for key, _ in followed}
        may_be_gone = any(
            ended.issuperset(each.order_id for each in row.orders)
            for _, row in followed
            if any(each.is_open for each in row.orders)
        )
        is_of_these = all(
            operation.plan.kind is Kind.CLOSE_POSITIONS
            and len(operation.plan.closes) == len(operation.rows)
            and not any(row.is_in_doubt for row in operation.rows)
            for operation in operations
        )
        if is_of_these and not may_be_gone and len(wanted) <= MOST_IDS:
            try:
                part = await read(account_id, instrument_ids=sorted(wanted))
            except RequestRejected:
                return await read(account_id)
            if part.is_complete and all(key in part.by_id and part.by_id[key].quantity for key in wanted):
                return part
        return await read(account_id)

    async def to_flatten(self, account_id: AccountId) -> Account:
        """For a person's way out: where the book cannot be read, one that is empty and says that it is incomplete."""
        try:
            return await self.to_decide(account_id, Kind.CLOSE_ALL_POSITIONS)
        except UpstreamError:
            book = Book(account_id=account_id, positions=(), as_of=self._deps.clock.now(), consistent=False)
            record = await in_thread(self.record, self._deps.store, account_id)
            return Account(book=book, orders=None, outstanding=None, record=record)

    def record(self, ledger: Ledger, account_id: AccountId) -> AccountRecord:
        """The guard's own record of the account. Blocking."""
        mode, today = self._deps.mode, new_york_day(self._deps.market_clock.now())
        return AccountRecord(
            used_today=ledger.used(mode, account_id, today),
            halts=ledger.halts(),
            unfinished=ledger.unfinished(mode, account_id),
            rosters=ledger.rosters(),
        )

    async def _beside(self, account: Account, names: Sequence[str]) -> MarketFacts:
        """What the options concerned are. Dividends where those exercised early are on one underlying."""
        now, calendar = self._deps.market_clock.now(), self._deps.calendar
        day = sent_for(now, calendar, DeadlineRule(self._deps.policy.exercise_deadline)).day
        options = concerned(account.book, account.outstanding, day, calendar)
        named = [each for each in _named(account.book, names) if each.is_option]
        seen = {each.instrument_id for each in options}
        early = [each for each in named if each.instrument_id not in seen]
        on = {key for each in early if (key := each.underlying_instrument_id) and is_uuid(key)}
        of = on.pop() if len(on) == 1 else None
        since = new_york_day(now)
        all_of = [*options, *early]
        shorts = shorts_beside(account.book, all_of)
        return await read_beside(self._deps.neighbours, all_of, beside=shorts, dividends_of=of, since=since)

    async def _account(
        self, book: Book, orders: tuple[Order, ...] | None, listed: _Listed, record: AccountRecord | None = None
    ) -> Account:
        now, calendar = self._deps.market_clock.now(), self._deps.calendar
        deadline, rows = DeadlineRule(self._deps.policy.exercise_deadline), listed.rows
        return Account(
            book=book,
            orders=orders,
            outstanding=None if rows is None else Outstanding(rows, now=now, calendar=calendar, deadline=deadline),
            record=await in_thread(self._whole_record, book.account_id) if record is None else record,
            instructions=rows,
            instruction_doubts=listed.doubts,
        )

    def _whole_record(self, account_id: AccountId) -> AccountRecord:
        store = self._deps.store
        with store.at_once():
            record = self.record(store, account_id)
            in_doubt = [each.operation_id for each in record.unfinished if any(row.is_in_doubt for row in each.rows)]
            if not in_doubt:
                return record
            since = [sent for each in in_doubt for sent in store.sent_after_planning(each)]
            latest = store.operations(account_id=account_id, limit=_LATEST)
        return replace(record, recent=tuple(each for each in (*since, *latest) if each.plan.mode is self._deps.mode))

    async def _instructions(self, account_id: AccountId) -> _Listed:
        """The instructions as listed; no rows, not even none, where they cannot be read."""
        if self._deps.instructions is None:
            return _Listed(None)
        try:
            listed = await self._deps.instructions.get_position_instructions(account_id)
        except UpstreamError:
            return _Listed(None)
        return _Listed(tuple(listed.data), listed.left_out)


def _named(book: Book, names: Sequence[str]) -> list[Position]:
    """The positions that names mean, each once; what names nothing is left to the rules."""
    holdings = Holdings.of_book(book)
    found: dict[InstrumentId, Position] = {}
    for name in names:
        try:
            position = holdings.find(name)
        except InvalidInput:
            continue
        found[position.instrument_id] = position
    return list(found.values())
