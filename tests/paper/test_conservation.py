"""Whatever is closed, cancelled, instructed, filled or expired, in any order: nothing appears or vanishes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paper.support import CountingIds, SettableClock
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.bodies import SubmittedRow
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import NO_STRIKES, Fault, Strikes
from positions_mcp.paper.handlers import Act
from positions_mcp.paper.ledger import Ledger, order_parts
from positions_mcp.paper.model import InstructionStatus, InstructionType, Order, OrderStatus
from positions_mcp.paper.symbols import instrument_id_of

ACCOUNT = 19816
ENDED = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
WAITING = {InstructionStatus.SENT, InstructionStatus.CANCEL_REQUESTED}
AFTERNOON = datetime(2026, 11, 23, 15, 50, tzinfo=NEW_YORK)
CROWDED = """
title = "Shares, and everything that takes or brings shares tonight"
cash = 100_000

[[underlyings]]
symbol = "XYZ"
price = 100.00
volatility = 0.30

[[positions]]
symbol = "XYZ"
quantity = 250
average_price = 80.01

[[positions]]
symbol = "XYZ today 80 call"
quantity = 5
average_price = 17.37

[[positions]]
symbol = "XYZ today 85 call"
quantity = -3
average_price = 11.11

[[positions]]
symbol = "XYZ today 120 put"
quantity = 4
average_price = 19.99

[[positions]]
symbol = "XYZ friday+1 90 call"
quantity = 7
average_price = 12.34

[[orders]]
symbol = "XYZ"
side = "sell"
quantity = 60
limit = 140

[[orders]]
side = "sell"
quantity = 2
limit = 30.00

[[orders.legs]]
symbol = "XYZ today 80 call"
side = "sell"

[[orders.legs]]
symbol = "XYZ today 85 call"
side = "buy"
"""
SPANS = st.sampled_from(
    [
        timedelta(milliseconds=400),
        timedelta(seconds=1, milliseconds=200),
        timedelta(seconds=30),
        timedelta(minutes=11),
        timedelta(hours=2),
        timedelta(days=1),
        timedelta(days=9),
    ]
)


def invested(ledger: Ledger) -> Decimal:
    """Cash plus what positions cost, less profit taken: constant through everything."""
    money = ledger.accounts[ACCOUNT]
    return money.cash + sum((holding.cost for holding in ledger.holdings.values()), Decimal(0)) - money.realized


def filled(ledger: Ledger, symbol: str) -> Decimal:
    """The signed units of a symbol that orders have bought and sold."""
    fills = (order for order in ledger.orders.values() if order.symbol == symbol)
    return sum((order.filled if order.side == "BUY" else -order.filled for order in fills), Decimal(0))


class Trading(RuleBasedStateMachine):
    """A trader, clearing, time and other sessions, acting on one book in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        (self.directory / "crowded.toml").write_text(CROWDED)
        self.clock = SettableClock(AFTERNOON)
        self.ids = CountingIds()
        self.exchange = PaperExchange.open(self.directory, scenario="empty", clock=self.clock, ids=self.ids)
        self.requests = self.refused = 0

    @initialize(scenario=st.sampled_from(["crowded", "crowded", "demo", "rough"]))
    def load(self, scenario: str) -> None:
        name = str(self.directory / "crowded.toml") if scenario == "crowded" else scenario
        PaperExchange.reset(self.directory, name, clock=self.clock, ids=self.ids)
        self.start = self.look(invested)
        self.at_first = self.look(lambda ledger: {key[1]: h.quantity for key, h in ledger.holdings.items()})
        self.symbols = sorted(self.at_first)
        self.expired: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "start"):
            self.pass_time(timedelta(days=60))
            self.everything_has_ended()
        self.exchange.close()
        shutil.rmtree(self.directory)

    def look(self, at: Callable[[Ledger], Any]) -> Any:
        with self.exchange.reading() as moment:
            return at(moment.ledger)

    def act(self, do: Callable[[Act], object], *, interfered: bool = False) -> None:
        self.requests += 1
        strikes = Strikes((Fault("close_position", "changed_quantity"),)) if interfered else NO_STRIKES
        try:
            with self.exchange.changing() as moment:
                do(Act(moment, self.exchange.ids_of(moment.ledger), ACCOUNT, f"request {self.requests}", strikes))
        except Refusal:
            self.refused += 1

    @rule(which=st.integers(0, 99), cancel=st.booleans(), interfered=st.booleans())
    def close_one(self, which: int, cancel: bool, interfered: bool) -> None:
        symbol = self.symbols[which % len(self.symbols)]
        self.act(lambda act: act.close(symbol, cancel), interfered=interfered)

    @rule(cancel=st.booleans())
    def close_all(self, cancel: bool) -> None:
        self.act(lambda act: act.close_all(cancel))

    @rule(rows=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(InstructionType), st.integers(0, 6)), max_size=4))
    def instruct(self, rows: list[tuple[int, InstructionType, int]]) -> None:
        submitted = [
            SubmittedRow(kind, instrument_id_of(self.symbols[which % len(self.symbols)]), Decimal(quantity), None)
            for which, kind, quantity in rows
        ]
        self.act(lambda act: act.submit(submitted, unknown_refuses_all=False))

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.look(lambda ledger: bool(ledger.instructions)))
    def cancel_instruction(self, which: int) -> None:
        known = self.look(lambda ledger: list(ledger.instructions))
        self.act(lambda act: act.cancel(known[which % len(known)]))

    @rule(span=SPANS)
    def pass_time(self, span: timedelta) -> None:
        self.clock.advance(span)

    @rule()
    def another_process_takes_over(self) -> None:
        before = self.look(lambda ledger: dict(ledger.holdings))
        self.exchange.close()
        self.exchange = PaperExchange.open(self.directory, clock=self.clock, ids=self.ids, accounts=None)
        assert self.look(lambda ledger: dict(ledger.holdings)) == before

    @invariant()
    def everything_is_conserved(self) -> None:
        if hasattr(self, "start"):
            with self.exchange.reading() as moment:
                assert invested(moment.ledger) == self.start
                self.nothing_is_promised_twice(moment.ledger)
                self.units_come_from_trades_and_deliveries_only(moment)
                self.orders_are_sound(moment.ledger)

    def nothing_is_promised_twice(self, ledger: Ledger) -> None:
        promised: dict[str, Decimal] = {}
        for order in ledger.open_orders():
            for symbol, side, ratio in order_parts(order):
                holding = ledger.holdings.get((ACCOUNT, symbol))
                if holding and (holding.quantity > 0) == (side == "SELL"):
                    promised[symbol] = promised.get(symbol, Decimal(0)) + order.leaves * ratio
        for instruction in ledger.standing_instructions():
            if instruction.instruction_type is not InstructionType.DO_NOT_EXERCISE:
                symbol = instruction.symbol
                promised[symbol] = promised.get(symbol, Decimal(0)) + instruction.contracts
        for symbol, units in promised.items():
            held = ledger.holdings.get((ACCOUNT, symbol))
            assert held is not None, symbol
            assert units <= abs(held.quantity), (symbol, units, held.quantity)

    def units_come_from_trades_and_deliveries_only(self, moment: Moment) -> None:
        ledger = moment.ledger
        delivered: dict[str, Decimal] = {}
        for symbol in self.symbols:
            instrument = ledger.instruments[symbol]
            if instrument.contract is None:
                continue
            gone = self.at_first[symbol] + filled(ledger, symbol) - self.held(ledger, symbol)
            evening = moment.market.processing(instrument.contract.expiry)
            assert gone == 0 or ledger.instructions or moment.now >= evening, symbol
            root = instrument.contract.root
            delivered[root] = delivered.get(root, Decimal(0)) + abs(gone)
        for symbol in {key[1] for key in ledger.holdings} | set(self.symbols):
            if ledger.instruments[symbol].contract is None:
                moved = self.held(ledger, symbol) - self.at_first.get(symbol, Decimal(0)) - filled(ledger, symbol)
                assert moved % 100 == 0, symbol
                assert abs(moved) <= 100 * delivered.get(symbol, Decimal(0)), symbol

    @staticmethod
    def held(ledger: Ledger, symbol: str) -> Decimal:
        holding = ledger.holdings.get((ACCOUNT, symbol))
        return holding.quantity if holding else Decimal(0)

    @staticmethod
    def orders_are_sound(ledger: Ledger) -> None:
        trading: dict[str, list[Order]] = {}
        for order in ledger.open_orders():
            for symbol, _, _ in order_parts(order):
                trading.setdefault(symbol, []).append(order)
        for symbol in ledger.instruments:
            assert list(ledger.open_orders_in(ACCOUNT, symbol)) == trading.get(symbol, [])
        for order in ledger.orders.values():
            assert 0 <= order.filled <= order.quantity
            assert (order.status in ENDED) == (not order.is_open)
            assert (order.status is OrderStatus.FILLED) == (order.filled == order.quantity and order.quantity > 0)
            assert order.is_open or not order.steps

    def everything_has_ended(self) -> None:
        with self.exchange.reading() as moment:
            self.closes_have_ended(moment)
            for instruction in moment.ledger.instructions.values():
                assert instruction.status not in WAITING

    @staticmethod
    def closes_have_ended(moment: Moment) -> None:
        for order in moment.ledger.orders.values():
            assert order.status in ENDED or order.order_type == "LIMIT", order
        for (_, symbol), holding in moment.ledger.holdings.items():
            contract = moment.ledger.instruments[symbol].contract
            assert contract is None or contract.expiry >= moment.now.date(), holding


Trading.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestConservation = pytest.mark.requirement("P-01", "P-02")(Trading.TestCase)
