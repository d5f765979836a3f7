"""Sending belongs to the server, not to the call: order, halts, cancelled calls, shutdown, and crashes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from guard.desk import AAPL, CALLER, PASSPHRASE, TSLA, desk
from guard.exchange import Exchange, StandingClock, held, instrument
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.asking import Wait
from positions_mcp.store import open_store


@pytest.mark.requirement("G-12")
async def test_short_options_go_first_then_short_stock_then_longs(tmp_path: Path) -> None:
    positions = [
        held("AAPL", 300, price="150", number=1),
        held("TSLA", -10, number=2),
        held("AAPL280121C00195000", -2, number=3),
        held("AAPL280121P00095000", 2, number=4),
    ]
    async with desk(tmp_path, positions=positions) as it:
        await it.close("AAPL", "TSLA", "AAPL280121P00095000", "AAPL280121C00195000")
        assert it.exchange.effects == [instrument(number) for number in (3, 2, 1, 4)]


@pytest.mark.requirement("G-04")
async def test_every_request_is_journalled_before_it_leaves(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        seen: list[tuple[str, str]] = []

        def look(request: str) -> None:
            (operation,) = it.store.operations()
            seen.append((request, " ".join(row.state for row in operation.rows)))

        it.exchange.on_write = look
        await it.close("AAPL", "TSLA")
        assert [states for _, states in seen] == ["SENDING NOT_SENT", "SUBMITTED SENDING"]


@pytest.mark.requirement("G-11")
async def test_only_a_person_with_the_passphrase_resumes(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.supervisor.halt("news", by="root")
        with pytest.raises(Refused):
            await it.supervisor.resume("the wrong passphrase", by="root")
        with pytest.raises(Refused, match="halted"):
            await it.close("AAPL")
        await it.supervisor.resume(PASSPHRASE, by="root")
        with pytest.raises(Refused, match="Nothing is halted"):
            await it.supervisor.resume(PASSPHRASE, by="root")
        assert (await it.close("AAPL")).state is OperationState.SUBMITTED


@pytest.mark.requirement("G-07")
async def test_a_call_cancelled_while_sending_leaves_a_journalled_operation_that_goes_on(tmp_path: Path) -> None:
    sending, go_on, ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def hold() -> None:
        sending.set()
        await go_on.wait()

    async def note(name: str, _operation_id: str) -> None:
        if name == "ended":
            ended.set()

    async with desk(tmp_path, checkpoint=note) as it:
        it.exchange.before.append(hold)
        operation = await it.asked("AAPL", "TSLA")
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await it.guard.send_elicited(operation, caller=CALLER, client="Claude")

            tasks.start_soon(call)
            await sending.wait()
            tasks.cancel_scope.cancel()
        assert it.store.operation(operation.operation_id).rows[0].state is RowState.SENDING
        go_on.set()
        with anyio.fail_after(5):
            await ended.wait()
        assert len(it.exchange.effects) == 2
        report = await it.guard.operation(operation.operation_id, wait=Wait(1))
        assert report.state is OperationState.SUBMITTED


@pytest.mark.requirement("G-07")
async def test_a_cancelled_lifespan_still_journals_the_request_in_flight(tmp_path: Path) -> None:
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(held("AAPL", 100, number=AAPL), held("TSLA", -50, number=TSLA))
    sending, go_on = anyio.Event(), anyio.Event()

    async def hold() -> None:
        sending.set()
        await go_on.wait()

    exchange.before.append(hold)
    async with anyio.create_task_group() as server:

        async def serve() -> None:
            async with desk(tmp_path, clock=clock, exchange=exchange) as it:
                operation = await it.approved_at_desk("AAPL", "TSLA")
                await it.guard.send_approved(operation.operation_id, caller=CALLER)

        server.start_soon(serve)
        await sending.wait()
        server.cancel_scope.cancel()
        go_on.set()
    async with desk(tmp_path, clock=clock, exchange=exchange) as later:
        ((report,), _) = await later.guard.operations()
        assert exchange.effects == [instrument(TSLA)]
        assert [row.state for row in report.rows] == [RowState.SUBMITTED, RowState.NOT_SENT]


async def test_outside_the_lifespan_nothing_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        it.guard.close()
        with pytest.raises(Refused, match="shutting down"):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert it.exchange.requests == []


class Killed(BaseException):
    """The process ends here."""


def known_operations(folder: Path) -> list[str]:
    store = open_store(folder / "operations.sqlite")
    try:
        return [operation.operation_id for operation in store.operations()]
    finally:
        store.close()


CRASHES = ["claimed", "read again", "sending journalled", "answered", "next sending journalled"]


@pytest.mark.requirement("G-04", "G-05")
@pytest.mark.parametrize("crash", CRASHES)
async def test_a_process_that_dies_loses_no_intent_and_repeats_no_effect(tmp_path: Path, crash: str) -> None:
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(held("AAPL", 100, number=AAPL), held("TSLA", -50, number=TSLA))
    died, passed = 0, list[str]()

    async def die(name: str, _operation_id: str) -> None:
        nonlocal died
        passed.append(f"next {name}" if name in passed else name)
        if passed[-1] == crash and not died:
            died += 1
            raise Killed

    async def live_and_die() -> None:
        async with desk(tmp_path, clock=clock, exchange=exchange, checkpoint=die) as it:
            operation = await it.approved_at_desk("AAPL", "TSLA")
            await it.guard.send_approved(operation.operation_id, caller=CALLER)

    with pytest.raises(BaseExceptionGroup):
        await live_and_die()
    assert died == 1
    (operation_id,) = known_operations(tmp_path)
    clock.advance(timedelta(seconds=30))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        with pytest.raises(Refused):
            await it.guard.send_approved(operation_id, caller=CALLER)
        clock.advance(timedelta(seconds=120))
        operation = it.store.operation(operation_id)
        report = await it.guard.operation(operation_id)
        assert len(exchange.effects) == len(exchange.requests) <= 1
        if crash in ("claimed", "read again"):
            assert report.state is OperationState.LAPSED
            assert report.anything_sent is False
        elif crash == "sending journalled":
            assert exchange.effects == []
            assert report.state is OperationState.UNKNOWN
        else:
            assert exchange.effects == [instrument(TSLA)]
            expected = OperationState.RECONCILED if crash == "answered" else OperationState.UNKNOWN
            assert report.state is expected
        began = RowState.SENDING if crash.startswith("next") else RowState.NOT_SENT
        assert operation.rows[1].state is began
        assert it.store.verify().intact
