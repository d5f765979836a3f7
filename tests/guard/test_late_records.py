"""What the store does not take when it happens is kept, and comes into it as long as the process lives."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from guard.desk import CALLER, TSLA, Desk, desk
from guard.exchange import instrument
from positions_mcp.domain.errors import InvalidInput, PositionsError, Sent, StoreUnavailable
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.reports import OperationReport
from positions_mcp.guard.sending.late import LAST_OFFERS
from positions_mcp.guard.sending.late import PAUSES_S as LATE_PAUSES_S
from positions_mcp.ports import OperationStore
from positions_mcp.store import open_store
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore

pytestmark = pytest.mark.requirement("G-04", "G-05")


class Away:
    """A store that is out of reach from one of its writes on: before that write is done, or before it is heard of."""

    def __init__(self, store: SqlOperationStore, *, at: str, done: bool) -> None:
        self._store = store
        self._at, self._done = at, done
        self.is_away = False
        self.offers = 0
        self.has_lost = ""
        """An operation that it knows nothing of any more, as a standby does that lacks the last entries."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return (lambda *said, **named: self._call(name, method, *said, **named)) if callable(method) else method

    def _call(self, name: str, method: Callable[..., Any], *said: Any, **named: Any) -> Any:
        if self.has_lost and name == "operation":
            return None
        if self.has_lost and self.has_lost in said:
            raise InvalidInput(f"There is no operation {self.has_lost!r}.")
        if self.is_away:
            self.offers += name == "operation"
            raise StoreUnavailable("The operation store cannot be reached.")
        if name == self._at:
            if self._done:
                method(*said, **named)
            self.is_away, self._at = True, ""
            raise StoreUnavailable("The operation store cannot be reached.")
        return method(*said, **named)


@asynccontextmanager
async def losing(folder: Path, at: str, *, done: bool) -> AsyncIterator[tuple[Desk, Away]]:
    """A desk whose store goes away."""

    async def soon(_: float) -> None:
        await anyio.sleep(0.001)

    store = open_store(folder / "operations.sqlite")
    away = Away(store, at=at, done=done)
    async with desk(folder, store=cast("OperationStore", away), sleep=soon) as it:
        yield it, away
    store.close()


async def stored(it: Desk, report: OperationReport, condition: Callable[[Any], bool]) -> Any:
    """The operation in the store once it is as expected."""
    with anyio.fail_after(60):
        while not condition(found := it.store.operation(report.operation_id)):  # noqa: ASYNC110 — nobody tells
            await anyio.sleep(0.005)
    return found


def has_ended(operation: Any) -> bool:
    return operation.stage not in (Stage.APPROVED, Stage.CLAIMED)


@pytest.mark.parametrize("done", [False, True], ids=["not written", "written, and nobody heard so"])
async def test_an_outcome_comes_into_the_store_once_it_is_back(tmp_path: Path, done: bool) -> None:
    async with losing(tmp_path, "record", done=done) as (it, away):
        report = await it.close("TSLA")
        assert (report.state, report.rows[0].state) == (OperationState.SUBMITTED, RowState.SUBMITTED)
        assert "It is tried again" in report.reason
        away.is_away = False
        operation = await stored(it, report, has_ended)
        assert (operation.stage, operation.rows[0].state) == (Stage.FINISHED, RowState.SUBMITTED)
        assert operation.rows[0].orders
        assert it.exchange.effects == [instrument(TSLA)]
        assert it.store.verify().intact
        events = [entry.event for entry in it.store.journal(report.operation_id)]
        assert (events.count("outcome"), events.count("ended")) == (1, 1)


def migrated(file: Path) -> None:
    """As a newer program does."""
    SqlOperationStore(file, migrations=(*MIGRATIONS, lambda _: None)).close()


def altered(statement: str) -> Callable[[Path], None]:
    """As nobody may."""

    def alter(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            assert connection.execute(statement).rowcount

    return alter


@pytest.mark.parametrize(
    "read_only",
    [
        migrated,
        altered("UPDATE meta SET value = '99' WHERE key = 'schema_version'"),
        altered("DELETE FROM chains"),
        altered("DELETE FROM journal WHERE event = 'sending'"),
        altered("UPDATE journal SET content = '{}' WHERE event = 'sending'"),
        altered("UPDATE chains SET entries = entries + 1"),
    ],
    ids=["migrated", "of a newer program", "no end", "an entry less", "another entry", "another end"],
)
async def test_where_the_store_can_only_be_read_who_sent_it_says_what_became_of_it_and_not_that_it_is_being_sent(
    read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    async def checkpoint(name: str, _: str) -> None:
        if name == "answered":
            read_only(tmp_path / "operations.sqlite")

    ending = anyio.Event()

    async def pause(seconds: float) -> None:
        await (anyio.lowlevel.checkpoint() if seconds < LATE_PAUSES_S[-1] else ending.wait())

    async with desk(tmp_path, checkpoint=checkpoint, sleep=pause) as it:
        try:
            report = await it.close("TSLA")
            assert it.store.operation(report.operation_id).rows[0].state is RowState.SENDING
            listed, _ = await it.guard.operations()
            for told in (report, await it.guard.operation(report.operation_id), *listed):
                assert told.rows[0].state is RowState.SUBMITTED
                assert told.state in (OperationState.SUBMITTED, OperationState.CLOSED)
                assert "could not be journalled" in told.reason
            with pytest.raises(PositionsError, match=r"TSLA|schema|journal|chain|decided"):
                await it.close("TSLA")
            assert it.exchange.effects == [instrument(TSLA)]
        finally:
            ending.set()


@pytest.mark.parametrize("done", [False, True], ids=["not written", "written, and nobody heard so"])
async def test_what_was_not_sent_because_its_intent_was_not_heard_of_is_not_in_doubt(
    tmp_path: Path, done: bool
) -> None:
    async with losing(tmp_path, "begin", done=done) as (it, away):
        operation = await it.asked("TSLA")
        with pytest.raises(StoreUnavailable):  # another server may have taken the plan meanwhile
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        away.is_away = False
        operation = await stored(it, operation, lambda each: each.stage is Stage.FINISHED)
        assert operation.rows[0].state is RowState.NOT_SENT
        assert it.exchange.effects == []
        assert not it.store.used(operation.plan.mode, operation.account_id, it.clock.now().date())


@pytest.mark.parametrize("done", [False, True], ids=["not written", "written, and nobody heard so"])
@pytest.mark.parametrize("by_desk", [False, True], ids=["a form's yes", "the desk's yes"])
async def test_that_a_stale_plan_was_approved_and_ended_comes_into_the_store_once_it_is_back(
    tmp_path: Path, by_desk: bool, done: bool
) -> None:
    async with losing(tmp_path, "finish", done=done) as (it, away):
        operation = await (it.approved_at_desk("TSLA") if by_desk else it.asked("TSLA"))
        it.exchange.change(TSLA, quantity=Decimal(-90))
        if by_desk:
            report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
            assert (report.state, report.anything_sent) == (OperationState.STALE, False)
        else:
            with pytest.raises(StoreUnavailable):  # another server may have taken the plan meanwhile
                await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        away.is_away = False
        operation = await stored(it, operation, lambda each: each.stage is Stage.STALE)
        assert operation.decision.approved
        assert it.exchange.effects == []
        assert it.store.verify().intact


async def test_an_outcome_that_comes_after_its_lease_ran_out_still_tells_the_truth(tmp_path: Path) -> None:
    async with losing(tmp_path, "record", done=False) as (it, away):
        report = await it.close("TSLA")
        it.store.expire(it.clock.now() + timedelta(hours=1))
        assert it.store.operation(report.operation_id).rows[0].state is RowState.UNKNOWN
        away.is_away = False
        operation = await stored(it, report, lambda each: each.rows[0].state is RowState.SUBMITTED)
        assert operation.rows[0].orders


async def test_it_is_offered_for_as_long_as_the_process_lives(tmp_path: Path) -> None:
    async with losing(tmp_path, "record", done=False) as (it, away):
        report = await it.close("TSLA")
        with anyio.fail_after(60):
            while away.offers < 200:  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(0.005)
        away.is_away = False
        await stored(it, report, has_ended)


async def test_a_process_that_ends_offers_it_a_last_time_and_logs_enough_to_settle_by_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        async with losing(tmp_path, "record", done=False) as (it, away):
            report = await it.close("TSLA")
            before = away.offers
    assert before < away.offers <= before + LAST_OFFERS + 1
    (order,) = report.rows[0].orders
    assert report.operation_id in caplog.text
    assert f"row 1 SUBMITTED as {order.order_id}" in caplog.text


@pytest.mark.parametrize("name", ["TSLA", "AAPL,MSFT"], ids=["after its only request", "after the first of two"])
async def test_what_was_sent_is_told_where_the_store_knows_nothing_of_it_any_more(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with losing(tmp_path, "nothing", done=False) as (it, away):

        async def fails_over(step: str, operation_id: str) -> None:
            if step == "answered":
                away.has_lost = operation_id

        executor = it.guard._executor
        executor._deps = replace(executor._deps, checkpoint=fails_over)
        report = await it.close(*name.split(","))
        assert report.anything_sent
        assert len(it.exchange.effects) == 1
        assert (report.rows[0].state, len(report.rows[0].orders)) == (RowState.SUBMITTED, 1)
        assert "There is no operation" in report.reason
    assert "never came into the store: row 1 SUBMITTED as" in caplog.text
    assert "is in the store now" not in caplog.text


async def test_a_call_that_waits_is_not_told_that_nothing_was_sent_of_what_the_store_has_lost(tmp_path: Path) -> None:
    async with losing(tmp_path, "nothing", done=False) as (it, away):
        operation = await it.asked("TSLA")
        away.has_lost = operation.operation_id
        with pytest.raises(StoreUnavailable, match="not in the operation store any more") as lost:
            await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(1))
        assert lost.value.sent is Sent.UNKNOWN
