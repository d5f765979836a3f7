"""`wait_s` bounds the whole call: that, and one reading, however slow the account is (G-23)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from guard.desk import CALLER, PASSPHRASE, Desk, desk
from guard.exchange import Exchange
from guard.test_dispatching import ended
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.guard import Guard
from tools.serving import data_of
from trading import trading_floor, yes

pytestmark = pytest.mark.requirement("G-23")

READING = timedelta(seconds=0.1)


async def forever(*_: Any, **__: Any) -> Any:
    await anyio.sleep_forever()


def hang(it: Desk, monkeypatch: pytest.MonkeyPatch, *readers: str) -> None:
    for name in readers:
        monkeypatch.setattr(Exchange, name, forever)


@pytest.mark.parametrize("readers", [("read_book",), ("read_orders",), ("read_orders", "read_book")])
@pytest.mark.parametrize("wait_s", [0, 0.15])
async def test_following_takes_no_longer_than_its_wait_and_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: tuple[str, ...], wait_s: float
) -> None:
    async with desk(tmp_path, reading=READING) as it:
        sent = await it.close("AAPL")
        hang(it, monkeypatch, *readers)
        began = anyio.current_time()
        with anyio.fail_after(5):
            report = await it.guard.operation(sent.operation_id, wait=Wait(wait_s))
        assert anyio.current_time() - began < wait_s + READING.total_seconds() + 1
        assert report.state is OperationState.SUBMITTED
        if "read_book" in readers:
            assert report.not_followed.startswith("The account could not be read now: it took longer than")


UPSTREAM: dict[str, dict[str, Any]] = {
    "503": {"kind": "status_503"},
    "429": {"kind": "status_429"},
    "slow": {"kind": "delay", "seconds": 30},
    "slow to begin": {"kind": "delay_before_effect", "seconds": 30},
    "dropped": {"kind": "drop_before_effect"},
}


@pytest.mark.parametrize("operation", ["get_positions", "get_orders", "any"])
@pytest.mark.parametrize("fault", UPSTREAM.values(), ids=UPSTREAM.keys())
async def test_the_wait_bounds_the_call_through_the_client_with_all_its_retries(
    tmp_path: Path, fault: dict[str, Any], operation: str
) -> None:
    wait_s = 0.2
    async with trading_floor(tmp_path) as floor, floor.client("legacy", yes()) as client:
        sent = data_of(await client.call_tool("close_positions", {"instruments": ["KO"]}))
        deps = replace(floor.deps.guard._deps, reading=READING)
        floor.exchange.arm(operation=operation, times=None, **fault)
        began = anyio.current_time()
        with anyio.fail_after(10):
            report = await Guard(deps).operation(sent["operation_id"], wait=Wait(wait_s))
        assert anyio.current_time() - began < wait_s + READING.total_seconds() + 1
        assert report.state is OperationState.SUBMITTED
        if operation != "get_orders":
            assert "The account could not be read now" in report.not_followed


async def test_where_only_orders_are_slow_the_book_is_still_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path, reading=READING) as it:
        sent = await it.close("AAPL")
        hang(it, monkeypatch, "read_orders")
        report = await it.guard.operation(sent.operation_id)
        assert report.not_followed == ""
        assert report.rows[0].residual == 100


async def test_slow_readings_count_as_time_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, readings = Exchange.read_book, 0

    async def slowly(*args: Any, **options: Any) -> Any:
        nonlocal readings
        readings += 1
        await anyio.sleep(0.05)
        return await read(*args, **options)

    async with desk(tmp_path) as it:
        sent = await it.close("AAPL")
        monkeypatch.setattr(Exchange, "read_book", slowly)
        await it.guard.operation(sent.operation_id, wait=Wait(0.04))
        assert readings == 1


async def test_a_call_that_waits_for_the_desk_leaves_what_is_being_sent_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = anyio.Event()
    read = Exchange.read_book

    async def when_free(*args: Any, **options: Any) -> Any:
        await free.wait()
        return await read(*args, **options)

    async with desk(tmp_path, reading=READING) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, PASSPHRASE)
        monkeypatch.setattr(Exchange, "read_book", when_free)
        with anyio.fail_after(5):
            report = await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(0))
        assert (report.state, report.anything_sent) == (OperationState.SENDING, None)
        free.set()
        assert (await ended(it, operation)).state is OperationState.SUBMITTED
        assert len(it.exchange.requests) == 1


async def test_many_closes_that_moved_on_are_followed_within_one_reading_before_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Exchange.read_orders

    async def by_id_never(exchange: Exchange, account_id: Any, **filters: Any) -> Any:
        if filters.get("order_ids"):
            await anyio.sleep_forever()
        return await read(exchange, account_id, **filters)

    async with desk(tmp_path, reading=READING) as it:
        for number, symbol in ((1, "AAPL"), (2, "TSLA")):
            await it.close(symbol)
            it.exchange.fill(number)
        monkeypatch.setattr(Exchange, "read_orders", by_id_never)
        with anyio.fail_after(5):
            planned = await it.plan("MSFT")
        assert planned.operation.state(it.clock.now()) is OperationState.PLANNED
