"""What was read of a large account is let go when it has been answered, without a trace that keeps its memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

import anyio
import pytest

from positions_mcp.domain import instruments, letting_go
from positions_mcp.domain.account.positions import Holding
from positions_mcp.tools import _turns
from positions_mcp.tools._shared_positions import SharedPositions
from positions_mcp.tools._shared_reads import SharedReads, Times
from tools.serving import ACCOUNT, StubBroker, call, held, server_over, text_of
from trading import trading_floor


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
@pytest.mark.parametrize(("options", "remembered"), [(2, 2), (3, 0)])
async def test_the_symbols_of_a_large_book_are_forgotten_after_the_call(
    options: int, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "_KEPT", 2)
    instruments._remembered.clear()
    rows = [held(f"AAPL  261218C00{200 + number}000", number=number) for number in range(options)]
    text_of(await call(server_over(StubBroker(positions=[held("AAPL", number=9), *rows])), "list_positions"))
    assert len(instruments._remembered) == remembered


@pytest.mark.one_process("looks at what its own process holds")
async def test_nothing_of_a_large_book_waits_to_be_freed_once_a_close_has_been_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letting_go, "_MANY", 2)
    monkeypatch.setattr(_turns, "_MANY", 2)
    async with trading_floor(tmp_path) as floor:
        for symbol in ("KO", "MSFT", "GME"):
            text_of(await floor.call("preview_close", {"instruments": [symbol]}))
            assert not letting_go._left
