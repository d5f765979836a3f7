"""A process that stood still between journalling a request and sending it: stopped, or on a machine that slept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from guard.desk import AAPL, PASSPHRASE, QUICK, Desk, desk
from guard.exchange import instrument
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.supervisor import Supervisor


@asynccontextmanager
async def sleeping_desk(folder: Path, at: str, slept: timedelta, *, settled: bool = False) -> AsyncIterator[Desk]:
    """A desk whose process stands still once, at a checkpoint; meanwhile another process may settle the outcome."""
    asleep: list[Desk] = []

    async def sleep(name: str, operation_id: str) -> None:
        if name != at or not asleep:
            return
        it = asleep.pop()
        it.clock.advance(slept)
        if settled:
            assert (await it.guard.operation(operation_id)).state is OperationState.UNKNOWN
            other = Supervisor(it.parts, hardness=QUICK)
            await other.settle(operation_id, "AAPL", Conclusion.DID_NOT, PASSPHRASE, evidence="no order")

    async with desk(folder, checkpoint=sleep) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        asleep.append(it)
        yield it


@pytest.mark.requirement("G-05")
@pytest.mark.parametrize("seconds", [5, 60, 10_800])
async def test_a_process_that_stood_still_does_not_send_and_says_so(tmp_path: Path, seconds: int) -> None:
    async with sleeping_desk(tmp_path, "sending journalled", timedelta(seconds=seconds)) as it:
        report = await it.close("AAPL", "TSLA")
        assert it.exchange.requests == []
        assert {row.state for row in report.rows} == {RowState.NOT_SENT}
        assert report.reason == f"Nothing could be sent: This process stood still for {seconds} s before sending."
        assert report.anything_sent is False
        assert it.store.used(it.parts.mode, report.account_id, it.clock.now().date()) == 0


@pytest.mark.requirement("G-05")
async def test_what_a_person_settled_meanwhile_stays_settled(tmp_path: Path) -> None:
    async with sleeping_desk(tmp_path, "sending journalled", timedelta(hours=3), settled=True) as it:
        await it.close("AAPL")
        assert it.exchange.requests == []
        (operation,) = it.store.operations()
        assert operation.rows[0].state is RowState.UNKNOWN
        assert operation.rows[0].resolution is not None
        assert operation.state(it.clock.now()) is OperationState.RECONCILED


@pytest.mark.requirement("G-03", "G-05")
async def test_a_process_that_stood_still_after_reading_the_book_sends_nothing(tmp_path: Path) -> None:
    async with sleeping_desk(tmp_path, "read again", timedelta(hours=3)) as it:
        report = await it.close("AAPL")
        assert it.exchange.requests == []
        assert report.rows[0].state is RowState.NOT_SENT


async def test_a_pause_that_is_short_changes_nothing(tmp_path: Path) -> None:
    async with sleeping_desk(tmp_path, "sending journalled", timedelta(seconds=4)) as it:
        await it.close("AAPL")
        assert it.exchange.effects == [instrument(AAPL)]
