"""A yes from the desk is sent by exactly one server of the store, whether or not its call still waits (G-19)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from guard.desk import CALLER, PASSPHRASE, POLICY, Desk, desk
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Narrower
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport
from positions_mcp.guard.sending.dispatcher import POLL_S
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore

pytestmark = pytest.mark.requirement("G-19")


async def _soon(_: float) -> None:
    await anyio.sleep(0.001)


TRADERS = POLICY.model_copy(update={"for_rights": {"traders": Narrower()}})


@asynccontextmanager
async def serving(it: Desk, servers: int = 1, **changed: Any) -> AsyncIterator[list[Guard]]:
    """Servers on the store that send what is approved; the one that planned is gone."""
    async with AsyncExitStack() as stack:
        guards = []
        for number in range(servers):
            store = stack.enter_context(closing(open_store(it.store.status().place)))
            deps = replace(it.parts, **{"store": store, "sleep": _soon, "process": f"server {number}", **changed})
            guards.append(await stack.enter_async_context(Guard(deps)))
        async with anyio.create_task_group() as tasks:
            for guard in guards:
                tasks.start_soon(guard.send_what_is_approved)
            yield guards
            tasks.cancel_scope.cancel()


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await reached():
            return
        await anyio.sleep(0.005)
    raise AssertionError("it did not come to that within ten seconds")


async def ended(it: Desk, operation: Operation) -> OperationReport:
    async def is_over() -> bool:
        return (await it.guard.operation(operation.operation_id)).state not in (
            OperationState.APPROVED,
            OperationState.SENDING,
        )

    await until(is_over)
    return await it.guard.operation(operation.operation_id)


async def looked_again(it: Desk) -> None:
    """Something else happened in the store, and every server has had many turns to look."""
    await it.plan("MSFT")
    for _ in range(100):
        await anyio.sleep(0.002)


async def test_a_yes_that_comes_after_the_call_returned_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        async with serving(it):
            report = await ended(it, operation)
        assert report.state is OperationState.SUBMITTED
        assert len(it.exchange.requests) == 1


async def test_a_yes_on_the_page_of_the_server_itself_is_sent_without_waiting_for_the_next_look(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = await it.asked("AAPL")
        pauses: list[float] = []

        async def only_once(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) > 1:
                await anyio.sleep_forever()

        async def has_looked() -> bool:
            return len(pauses) > 1

        async with serving(it, sleep=only_once):
            await until(has_looked)
            await it.supervisor.approve(operation.operation_id, PASSPHRASE)
            report = await ended(it, operation)
        assert report.state is OperationState.SUBMITTED


async def test_a_server_that_ends_is_no_longer_waited_for(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:

        async def are_known() -> bool:
            return len(it.store.servers(it.clock.now())) == 2

        async with serving(it, servers=2):
            await until(are_known)
        assert it.store.servers(it.clock.now()) == ()


async def test_of_several_servers_and_a_waiting_call_exactly_one_sends(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        for name in ("AAPL", "TSLA", "MSFT"):
            operation = await it.asked(name)
            async with serving(it, servers=3) as guards:
                reports: list[OperationReport] = []

                async def wait(guard: Guard, of: Operation = operation, to: list[OperationReport] = reports) -> None:
                    to.append(await guard.wait_and_send(of, caller=CALLER, wait=Wait(45)))

                async with anyio.create_task_group() as calls:
                    calls.start_soon(wait, guards[0])
                    calls.start_soon(wait, guards[1])
                    await it.supervisor.approve(operation.operation_id, PASSPHRASE)
                assert {report.anything_sent for report in reports} == {True}
        assert len(it.exchange.requests) == 3
        claims = [entry.content["process"] for entry in it.store.journal() if entry.event == "claimed"]
        assert len(claims) == 3
        assert set(claims) <= {"server 0", "server 1", "server 2"}


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"mode": Mode.LIVE},
        {"policy": TRADERS.model_copy(update={"accounts": frozenset({AccountId(777)})})},
        {"policy": POLICY},
    ],
    ids=["another mode", "another account", "without the caller's right"],
)
async def test_a_server_of_another_mode_or_account_or_without_the_callers_right_leaves_it_to_others(
    tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    async with desk(tmp_path, policy=TRADERS) as it:
        operation = await it.approved_at_desk("AAPL", rights=("traders",))
        async with serving(it, **elsewhere):
            await looked_again(it)
        assert (await it.guard.operation(operation.operation_id)).state is OperationState.APPROVED
        assert it.exchange.requests == []


async def test_a_preview_that_was_approved_waits_for_the_call_that_asks(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        planned = await it.plan("AAPL")
        await it.supervisor.approve(planned.operation.operation_id, PASSPHRASE)
        async with serving(it):
            await looked_again(it)
        assert it.exchange.requests == []
        report = await it.guard.wait_and_send(planned.operation, caller=CALLER, wait=Wait(1))
        assert report.state is OperationState.SUBMITTED


async def test_under_a_halt_what_is_approved_is_not_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        await it.supervisor.halt("a storm", by="test")
        async with serving(it):
            await looked_again(it)
        assert it.exchange.requests == []
        assert (await it.guard.operation(operation.operation_id)).anything_sent is False


async def test_a_decision_that_is_not_signed_by_the_approver_is_not_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.supervisor.approve(operation.operation_id, PASSPHRASE)
        stored = it.store.operation(operation.operation_id)
        assert stored is not None
        assert stored.decision is not None
        forged = await it.asked("MSFT")
        decision = stored.decision.changed(operation_id=forged.operation_id, digest=forged.plan.digest)
        it.store.decide(decision, it.clock.now())
        async with serving(it):
            await ended(it, operation)
            await looked_again(it)
        assert len(it.exchange.requests) == 1
        assert (await it.guard.operation(forged.operation_id)).anything_sent is False


async def test_a_server_that_cannot_look_for_a_while_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        announce, failures = SqlOperationStore.announce, iter([ValueError("a defect"), StoreUnavailable("a lock")])

        def failing(store: SqlOperationStore, *told: Any) -> None:
            if (failure := next(failures, None)) is not None:
                raise failure
            announce(store, *told)

        monkeypatch.setattr(SqlOperationStore, "announce", failing)
        async with serving(it):
            report = await ended(it, operation)
        assert report.state is OperationState.SUBMITTED


async def test_the_store_is_looked_at_less_often_while_nothing_happens_there_and_at_once_more_often_when_it_does(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        pauses: list[float] = []

        async def noted(seconds: float) -> None:
            pauses.append(seconds)
            await anyio.sleep(0.001)

        async def rests() -> bool:
            return pauses[-3:] == [0.8] * 3

        async with serving(it, sleep=noted):
            await until(rests)
            before = len(pauses)
            await it.asked("MSFT")

            async def is_quick() -> bool:
                return POLL_S in pauses[before:]

            await until(is_quick)
            await until(rests)
        assert max(pauses[1:]) == 0.8  # the first one is that before the first look
