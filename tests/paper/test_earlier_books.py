"""A paper book that release 0.1.0 wrote goes on in this one: what it holds is read, and what was to come happens."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from paper.support import SettableClock
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.holdings import Holding
from positions_mcp.paper.model import InstructionStatus, OrderStatus, Past

WRITTEN = Path(__file__).with_name("book_of_0_1_0.sql")
PLACED = datetime(2026, 11, 23, 15, tzinfo=UTC)
OPTION = "KO261218C00070000"


def test_a_book_of_0_1_0_is_read_whole_and_goes_on(tmp_path: Path):
    with sqlite3.connect(tmp_path / "paper.sqlite") as connection:
        connection.executescript(WRITTEN.read_text(encoding="utf-8"))
    connection.close()
    clock = SettableClock(PLACED)
    exchange = PaperExchange.open(tmp_path, clock=clock)
    with exchange.reading() as moment:
        ledger = moment.ledger
        assert moment.now == PLACED + timedelta(seconds=1.5)
        assert ledger.facts.delays.clearing == timedelta(seconds=5)
        share, option = ledger.instruments["KO"], ledger.instruments[OPTION]
        assert share.instrument_id == "6ec5e2ab-5437-547a-8430-fef5e830d560"
        assert share.behaviour.fills == Decimal("0.5")
        assert option.contract is not None
        assert ledger.underlying(option) == share
        (order,) = ledger.orders.values()
        assert (order.number, order.status, order.filled) == (1, OrderStatus.PARTIALLY_FILLED, 100)
        assert order.history[1] == Past(PLACED + timedelta(seconds=0.3), OrderStatus.NEW, Decimal(0), Decimal(0), 0)
        assert ledger.movements[0].before == Holding(19816, "KO", Decimal(400), Decimal(24460))
        assert ledger.effects[0].made == (order.id,)
        assert ledger.accounts[19816].realized == 730
    assert exchange.faults()[0].seconds == Decimal("0.5")
    clock.advance(timedelta(seconds=10))
    with exchange.reading() as moment:
        assert moment.ledger.holdings[19816, "KO"].quantity == 200
        (instruction,) = moment.ledger.instructions.values()
        assert instruction.status is InstructionStatus.ACCEPTED
    exchange.close()
    again = PaperExchange.open(tmp_path, clock=clock)
    with again.reading() as moment:
        assert moment.ledger.holdings[19816, "KO"].quantity == 200
    again.close()
