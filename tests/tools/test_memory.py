"""What was read of a large account is let go when it has been answered, without a trace that keeps its memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import ClassVar
from weakref import WeakSet

import anyio
import pytest

from positions_mcp.domain import instruments
from positions_mcp.domain.account.positions import Holding
from positions_mcp.tools._shared_reads import SharedPositions, SharedReads, Times
from tools.serving import ACCOUNT, StubBroker, held


@pytest.fixture
def _nobody_collects_garbage() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Kept:
    alive: ClassVar[WeakSet[Kept]] = WeakSet()

    def __init__(self) -> None:
        self.alive.add(self)

    def add(self, positions: Sequence[Holding]) -> None:
        self.positions = positions


@pytest.mark.usefixtures("_nobody_collects_garbage")
async def test_a_reading_that_is_shared_no_longer_goes_without_a_collector_of_garbage() -> None:
    broker, over = StubBroker(positions=[held("AAPL")]), anyio.Event()

    async def until_over(_: float) -> None:
        await over.wait()

    async with SharedReads(Times(broker.clock, monotonic=lambda: 0.0, sleep=until_over)) as reads:
        await SharedPositions(broker, reads).gather_positions(ACCOUNT, Kept)
        await anyio.wait_all_tasks_blocked()
        assert len(Kept.alive) == 1
        over.set()
        await anyio.wait_all_tasks_blocked()
        assert not Kept.alive


@pytest.mark.one_process("counts what its own process remembers")
def test_of_the_symbols_of_a_large_book_only_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "_MOST_REMEMBERED", 2)
    instruments._remembered.clear()
    for strike in range(5):
        assert instruments.parse_option_symbol(f"AAPL  261218C00{200 + strike}000")
        assert len(instruments._remembered) <= 2
