"""The outcome of a request that took effect is journalled with the next one: in one write, and never lost by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from guard.desk import AAPL, CALLER, MSFT, TSLA, Desk, desk
from guard.exchange import instrument, raising
from positions_mcp.domain.errors import RequestRejected, StoreUnavailable
from positions_mcp.domain.operation.operation import Conclusion, Resolution
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.closing.kind import Closing
from positions_mcp.guard.reports import OperationReport
from positions_mcp.ports import OperationStore
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore

pytestmark = pytest.mark.requirement("G-04", "G-05")
WRITES = ("begin", "record", "finish")
SENT, UNSENT = RowState.SUBMITTED, RowState.NOT_SENT


class Faltering:
    """A store that is out of reach for some of its writes, counted from the first: before it is done, or after."""

    def __init__(self, store: SqlOperationStore, lost: Sequence[int], *, done: bool) -> None:
        self._store, self._lost, self._done = store, lost, done
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        def write(*said: Any, **named: Any) -> Any:
            self.asked.append(name)
            is_lost = len(self.asked) in self._lost
            if self._done or not is_lost:
                written = method(*said, **named)
            if is_lost:
                raise StoreUnavailable("The operation store cannot be reached.")
            return written

        return write


@asynccontextmanager
async def faltering(folder: Path, *lost: int, done: bool = False) -> AsyncIterator[tuple[Desk, Faltering]]:
    async def soon(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    store = open_store(folder / "operations.sqlite")
    falters = Faltering(store, lost, done=done)
    async with desk(folder, store=cast("OperationStore", falters), sleep=soon) as it:
        yield it, falters
    store.close()


async def sent(it: Desk) -> OperationReport:
    """Three shares, each by a request of its own, on a form's yes."""
    operation = await it.asked("AAPL", "TSLA", "MSFT")
    return await it.guard.send_elicited(operation, caller=CALLER, client="Claude")


async def test_a_batch_is_one_write_a_request_and_one_at_its_end(tmp_path: Path) -> None:
    async with faltering(tmp_path) as (it, store):
        report = await sent(it)
        assert [row.state for row in report.rows] == [SENT] * 3
        assert store.asked == ["begin", "begin", "begin", "record"]
        events = [entry.event for entry in it.store.journal(report.operation_id)]
        assert events[-7:] == ["sending", "outcome", "sending", "outcome", "sending", "outcome", "ended"]
        assert it.store.verify().intact


@pytest.mark.parametrize("done", [False, True], ids=["not written", "written, and nobody heard so"])
async def test_where_nobody_heard_that_the_store_took_both_the_next_request_does_not_leave_and_the_outcome_stands(
    tmp_path: Path, done: bool
) -> None:
    async with faltering(tmp_path, 2, done=done) as (it, _):
        report = await sent(it)
        operation = it.store.operation(report.operation_id)
        assert operation is not None
        assert it.exchange.effects == [instrument(TSLA)]
        assert sorted(row.state for row in operation.rows) == [UNSENT, UNSENT, SENT]
        assert [row.state for row in report.rows] == [row.state for row in operation.rows]
        assert operation.stage is Stage.FINISHED
        assert "could not be journalled" not in report.reason
        assert "cannot be reached" in report.reason
        assert it.store.used(operation.plan.mode, operation.account_id, it.clock.now().date()) == 9_000
        assert it.store.verify().intact


@pytest.mark.parametrize("done", [False, True], ids=["not written", "written, and nobody heard so"])
async def test_an_outcome_that_the_store_takes_at_no_time_of_the_run_comes_into_it_later(
    tmp_path: Path, done: bool
) -> None:
    async with faltering(tmp_path, 2, 3, 4, 5, 6, 7, 8, done=done) as (it, _):
        report = await sent(it)
        assert it.exchange.effects == [instrument(TSLA)]
        assert sorted(row.state for row in report.rows) == [UNSENT, UNSENT, SENT]
        with anyio.fail_after(60):
            while (operation := it.store.operation(report.operation_id)) is None or operation.stage is Stage.CLAIMED:  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(0.005)
        assert [row.state for row in operation.rows] == [row.state for row in report.rows]


@pytest.mark.requirement("G-11")
@pytest.mark.parametrize("number", [AAPL, MSFT])
async def test_what_is_refused_of_the_next_request_keeps_the_outcome_of_the_one_before(
    tmp_path: Path, number: int
) -> None:
    passed: list[str] = []

    async def halted(name: str, _: str) -> None:
        passed.append(name)
        if passed.count("answered") == (1 if number == AAPL else 2) and name == "answered":
            it.store.set_halt(Halt(reason="news", by="Ana", at=it.clock.now()))

    async with desk(tmp_path, checkpoint=halted) as it:
        report = await sent(it)
        left = [TSLA] if number == AAPL else [TSLA, AAPL]
        assert it.exchange.effects == [instrument(each) for each in left]
        assert len(it.exchange.requests) == len(left)
        operation = it.store.operation(report.operation_id)
        assert operation is not None
        assert [row.state for row in operation.rows] == [row.state for row in report.rows]
        assert sum(row.state is SENT for row in operation.rows) == len(left)
        assert "news" in report.reason
        assert operation.stage is Stage.FINISHED


@pytest.mark.requirement("G-11")
async def test_why_nothing_more_was_sent_is_told_also_where_the_store_does_not_take_the_end(tmp_path: Path) -> None:
    async with faltering(tmp_path, 3, 4, 5, 6, 7) as (it, _):
        it.exchange.on_write = lambda _: it.store.set_halt(Halt(reason="news", by="Ana", at=it.clock.now())) and None
        report = await sent(it)
        assert [row.state for row in report.rows].count(SENT) == 1
        with anyio.fail_after(60):
            while (operation := it.store.operation(report.operation_id)) is None or operation.stage is Stage.CLAIMED:  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(0.005)
        for told in (report.reason, operation.reason, *(row.detail for row in operation.rows if row.state is UNSENT)):
            assert "news" in told
            assert "could not be journalled" not in told
        assert [row.state for row in operation.rows] == [row.state for row in report.rows]


@pytest.mark.parametrize("place", ["obstacle", "begin"])
async def test_a_defect_between_two_requests_ends_the_batch_and_costs_no_outcome(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    async with faltering(tmp_path) as (it, store):
        owner: Any = Closing if place == "obstacle" else store
        it.exchange.on_write = lambda _: monkeypatch.setattr(owner, place, fail, raising=False)
        report = await sent(it)
        operation = it.store.operation(report.operation_id)
        assert operation is not None
        assert (operation.stage, it.exchange.effects) == (Stage.FINISHED, [instrument(TSLA)])
        assert sorted(row.state for row in operation.rows) == [UNSENT, UNSENT, SENT]
        assert "RuntimeError" in report.reason


@pytest.mark.parametrize("settled", [None, *Conclusion])
async def test_an_answer_overrides_what_was_made_of_it_once_its_lease_ran_out(
    tmp_path: Path, settled: Conclusion | None
) -> None:
    async def stand_still(name: str, operation_id: str) -> None:
        if name != "answered":
            return
        it.clock.advance(timedelta(minutes=5))
        (operation,) = it.store.expire(it.clock.now(), halt_after=1)
        assert operation.operation_id == operation_id
        if settled is not None:
            found = Resolution(conclusion=settled, by="Ana", evidence="asked", at=it.clock.now(), by_person=True)
            rows = [row.changed(resolution=found) for row in operation.rows if row.state is RowState.UNKNOWN]
            it.store.observe(operation, rows, it.clock.now(), event="settled")

    async with desk(tmp_path, checkpoint=stand_still) as it:
        report = await sent(it)
        operation = it.store.operation(report.operation_id)
        assert operation is not None
        assert it.exchange.effects == [instrument(TSLA)]
        assert sorted(row.state for row in operation.rows) == [UNSENT, UNSENT, SENT]
        assert all(row.resolution is None for row in operation.rows)
        assert [row.state for row in report.rows] == [row.state for row in operation.rows]
        assert it.store.used(operation.plan.mode, operation.account_id, it.clock.now().date()) == 9_000
        assert it.store.verify().intact


async def test_what_was_refused_is_journalled_before_anything_else_is_judged(tmp_path: Path) -> None:
    async with faltering(tmp_path) as (it, store):
        it.exchange.before = [raising(RequestRejected("no", status=422))]
        await sent(it)
        assert store.asked == ["begin", "record", "begin", "begin", "record"]
