"""The working set of a paper book: every record in memory, with what has changed since it was last stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePath

from positions_mcp.paper.database import Microseconds
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.holdings import ZERO, Account, Holding, Instrument, Movement
from positions_mcp.paper.model import Instruction, InstructionType, Order
from positions_mcp.paper.symbols import as_uuid, canonical

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take after the order, its release, the submission or the cancel."""

    acknowledge: Microseconds = timedelta(milliseconds=300)
    first_fill: Microseconds = timedelta(seconds=1)
    last_fill: Microseconds = timedelta(seconds=2)
    clearing: Microseconds = timedelta(seconds=5)
    cancel: Microseconds = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of the whole book. `as_of` is the last instant at which something happened in it.

    `digest` is that of what the scenario says; `seed`, if any, is what every id and price follows from, and `ids_made`
    how many there were; `born` is another one each time a book begins.
    """

    scenario: str
    title: str
    loaded_at: datetime
    anchor: datetime
    as_of: datetime
    token_secret: str
    delays: Delays = Delays()
    seed: str = ""
    digest: str = ""
    born: str = ""
    ids_made: int = 0

    @property
    def market_path(self) -> str:
        """What prices follow from: the seed and what the scenario says, or, without a seed, the scenario's name."""
        return f"{self.digest}|{self.seed}" if self.seed else PurePath(self.scenario).stem


@dataclass(frozen=True, slots=True)
class Effect:
    """One request that changed the book: which operation, on what, and which orders or instructions it made."""

    number: int
    at: datetime
    operation: str
    account: int
    request_id: str
    made: tuple[str, ...]


class Ledger:
    """All records of a book. Change them through its methods only: they keep the indexes and note what to store."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.accounts: dict[int, Account] = {}
        self.instruments: dict[str, Instrument] = {}
        self.holdings: dict[Key, Holding] = {}
        self.orders: dict[str, Order] = {}
        self.instructions: dict[str, Instruction] = {}
        self.effects: list[Effect] = []
        self.movements: list[Movement] = []
        self.changed: set[tuple[str, object]] = set()
        self._by_id: dict[str, Instrument] = {}
        self._eventful: dict[str, None] = {}
        self._open_orders: dict[str, None] = {}
        self._open_in: dict[Key, dict[str, None]] = {}
        self._standing: dict[str, None] = {}
        self._locks: dict[Key, Decimal] | None = None

    def put_facts(self, facts: Facts) -> None:
        self.facts = facts
        self.changed.add(("facts", ""))

    def put_account(self, account: Account) -> None:
        self.accounts[account.number] = account
        self.changed.add(("account", account.number))

    def pay(self, account: int, cash: Decimal, profit: Decimal) -> None:
        """Adds to an account's cash and realised profit; below zero it is taken away."""
        money = self.accounts[account]
        self.put_account(replace(money, cash=money.cash + cash, realized=money.realized + profit))

    def put_instrument(self, instrument: Instrument) -> None:
        self.instruments[instrument.symbol] = instrument
        self._by_id[instrument.instrument_id] = instrument
        if any(not event.done for event in instrument.events):
            self._eventful[instrument.symbol] = None
        else:
            self._eventful.pop(instrument.symbol, None)
        self.changed.add(("instrument", instrument.symbol))

    def put_holding(self, holding: Holding) -> None:
        """Adds, replaces or, once flat, removes a position."""
        key = (holding.account, holding.symbol)
        if holding.quantity:
            self.holdings[key] = holding
        else:
            self.holdings.pop(key, None)
        self._locks = None
        self.changed.add(("holding", key))

    def put_order(self, order: Order) -> None:
        before = self.orders.get(order.id)
        if before is not None:
            order = order.with_history_of(before)
        self.orders[order.id] = order
        keys = [(order.account, symbol) for symbol in order.symbols]
        for indexed in (self._open_orders, *(self._open_in.setdefault(key, {}) for key in keys)):
            if order.is_open:
                indexed[order.id] = None
            else:
                indexed.pop(order.id, None)
        self._locks = None
        self.changed.add(("order", order.id))

    def put_instruction(self, instruction: Instruction) -> None:
        self.instructions[instruction.id] = instruction
        if instruction.stands:
            self._standing[instruction.id] = None
        else:
            self._standing.pop(instruction.id, None)
        self._locks = None
        self.changed.add(("instruction", instruction.id))

    def add_effect(self, effect: Effect) -> None:
        self.effects.append(effect)
        self.changed.add(("effect", effect.number))

    def add_movement(self, movement: Movement) -> None:
        self.movements.append(movement)
        self.changed.add(("movement", movement.number))

    def moved_since(self, instant: datetime) -> Iterator[Movement]:
        """What moved positions strictly after an instant, newest first."""
        for movement in reversed(self.movements):
            if movement.at <= instant:
                return
            yield movement

    def holdings_at(self, account: int, instant: datetime) -> dict[str, Holding]:
        """The positions of an account as they were at an instant of the past, by symbol."""
        held = {holding.symbol: holding for holding in self.holdings_of(account)}
        for movement in self.moved_since(instant):
            if movement.account == account and movement.before is None:
                held.pop(movement.symbol, None)
            elif movement.account == account and movement.before is not None:
                held[movement.symbol] = movement.before
        return held

    def happened(self, at: datetime) -> None:
        """Notes that the book has lived until `at`."""
        if at > self.facts.as_of:
            self.put_facts(replace(self.facts, as_of=at))

    def instrument_by_id(self, instrument_id: str) -> Instrument | None:
        return self._by_id.get(instrument_id)

    def underlying(self, instrument: Instrument) -> Instrument:
        """What an option is over; a share itself."""
        return self.instruments[instrument.underlying_symbol]

    def next_events(self) -> Iterator[tuple[str, date]]:
        """Shares to which something will happen, and the day of the first of it."""
        for symbol in self._eventful:
            yield symbol, min(event.day for event in self.instruments[symbol].events if not event.done)

    def holdings_of(self, account: int) -> list[Holding]:
        """The positions of an account, in no particular order."""
        return [holding for holding in self.holdings.values() if holding.account == account]

    def open_orders(self) -> Iterator[Order]:
        """Orders that may still trade, oldest first."""
        return (self.orders[key] for key in list(self._open_orders))

    def open_orders_in(self, account: int, symbol: str) -> Iterator[Order]:
        """Orders of the account that may still trade the symbol, oldest first."""
        return (self.orders[key] for key in list(self._open_in.get((account, symbol), ())))

    def standing_instructions(self) -> Iterator[Instruction]:
        """Instructions that still speak for contracts, oldest first."""
        return (self.instructions[key] for key in list(self._standing))

    def instructed(self, account: int, symbol: str) -> Decimal:
        """Contracts of a position that instructions of any type speak for."""
        return sum(
            (i.contracts for i in self.standing_instructions() if i.account == account and i.symbol == symbol), ZERO
        )

    def available(self, account: int, symbol: str) -> Decimal:
        """Units of a position that are free, without sign."""
        holding = self.holdings.get((account, symbol))
        return self.free_of(holding) if holding else ZERO

    def free_of(self, holding: Holding) -> Decimal:
        """Units of a position, as it is or as it was, that nothing now locks, without sign."""
        locked = self._all_locks().get((holding.account, holding.symbol), ZERO)
        return abs(holding.quantity) - min(locked, abs(holding.quantity))

    def _all_locks(self) -> dict[Key, Decimal]:
        if self._locks is None:
            self._locks = {}
            for order in self.open_orders():
                for symbol, side, ratio in order_parts(order):
                    self._lock(order.account, symbol, order.leaves * ratio, side)
            for instruction in self.standing_instructions():
                if instruction.instruction_type is not InstructionType.DO_NOT_EXERCISE:
                    self._lock(instruction.account, instruction.symbol, instruction.contracts, "SELL")
        return self._locks

    def _lock(self, account: int, symbol: str, quantity: Decimal, side: str) -> None:
        holding = self.holdings.get((account, symbol))
        if self._locks is not None and holding and (holding.quantity > 0) == (side == "SELL"):
            key = (account, symbol)
            self._locks[key] = self._locks.get(key, ZERO) + quantity


def order_parts(order: Order) -> list[tuple[str, str, Decimal]]:
    """What an order trades: symbol, side and units for each unit of the order."""
    if order.symbol is not None:
        return [(order.symbol, order.side, Decimal(1))]
    return [(leg.symbol, leg.side, leg.ratio) for leg in order.legs]


_LONGEST_SHOWN = 64


def found(ledger: Ledger, text: str) -> Instrument | None:
    """The instrument of a UUID or a symbol in any spacing; None if the market does not know it."""
    identifier = as_uuid(text)
    return ledger.instrument_by_id(identifier) if identifier else ledger.instruments.get(canonical(text))


def known_symbol(ledger: Ledger, text: str) -> str:
    """The book's symbol for a UUID or a symbol in any spacing. Raises Refusal: 404 if the market does not know it."""
    instrument = found(ledger, text)
    if instrument is None:
        raise Refusal(404, f"Instrument not found: {text[:_LONGEST_SHOWN]}")
    return instrument.symbol


def known_symbols(ledger: Ledger, wanted: Sequence[str] | None) -> set[str] | None:
    """The symbols of UUIDs and symbols; what the market does not know matches nothing."""
    if wanted is None:
        return None
    return {instrument.symbol for text in wanted if (instrument := found(ledger, text))}


def underlying_symbol(ledger: Ledger, symbol: str) -> str | None:
    """What an option is over; None for everything else."""
    instrument = ledger.instruments[symbol]
    return ledger.underlying(instrument).symbol if instrument.contract else None
