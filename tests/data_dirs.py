"""A data directory of the program: what its processes are started with, and what they leave there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.clock import SystemClock
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import PaperExchange
from positions_mcp.settings import Settings, load
from positions_mcp.store.operations import SqlOperationStore

PROGRAM = (sys.executable, "-m", "positions_mcp")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("POSITIONS_", "CLEAR_"))}
"""The machine's environment without settings of its own."""


@contextmanager
def in_session(data_dir: Path) -> Iterator[PaperExchange]:
    """A server's book, an hour into the next session, with a clock that runs."""
    exchange = PaperExchange.open(data_dir, scenario="demo", clock=SystemClock())
    session = NewYorkCalendar().state_at(SystemClock().now()).next
    exchange.clock.set(session.opens + timedelta(hours=1), running=True)
    try:
        yield exchange
    finally:
        exchange.close()


class DataDir:
    """A data directory with a paper book, and what became of it."""

    data_dir: Path

    @property
    def settings(self) -> Settings:
        return load({"mode": "paper", "data_dir": self.data_dir})

    @contextmanager
    def store(self) -> Iterator[SqlOperationStore]:
        with open_operations(self.settings) as store:
            yield store

    def operation(self, operation_id: str) -> Operation:
        with self.store() as store:
            found = store.operation(operation_id)
        assert found is not None
        return found

    def newest(self) -> Operation:
        """The operation that was planned last."""
        with self.store() as store:
            return store.operations(limit=1)[0]

    def state(self, operation_id: str) -> OperationState:
        """What it comes to now."""
        return self.operation(operation_id).state(datetime.now(UTC))

    @contextmanager
    def exchange(self) -> Iterator[PaperExchange]:
        exchange = PaperExchange.open(self.data_dir, accounts=None)
        try:
            yield exchange
        finally:
            exchange.close()

    @property
    def effects(self) -> dict[str, int]:
        """How many requests have changed the book, by operation, as the exchange counts them."""
        with self.exchange() as exchange:
            return exchange.effect_counts()
