"""A form's yes is stored with its first request: until then others may decide the plan, and what is told stays true."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from guard.desk import AAPL, CALLER, FORM, MSFT, TSLA, Desk, desk
from guard.exchange import instrument
from guard.test_late_records import Away
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.dependencies import no_checkpoint
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.sending.late import FinishedOperation, LateRecords
from positions_mcp.ports import OperationStore
from positions_mcp.store import open_store


class Hook:
    """Runs once at a named point of the run."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.work: Callable[[str], Awaitable[None]] | None = None

    async def __call__(self, name: str, operation_id: str) -> None:
        if name == self.at and self.work is not None:
            work, self.work = self.work, None
            await work(operation_id)


def another(it: Desk, **other: Any) -> Any:
    """Another server of the store."""
    return replace(it.parts, checkpoint=no_checkpoint, process="other:2:boot", taken={}, **other)


async def outcome(it: Desk, operation: Any) -> Any:
    """The report, or what the operation is found to be where the guard said it was overtaken."""
    try:
        return await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
    except PositionsError as error:
        return error


@pytest.mark.requirement("A-03", "G-06")
@pytest.mark.parametrize("stale", [False, True])
async def test_what_another_server_sent_meanwhile_is_not_told_as_unsent_when_time_has_run_out(
    tmp_path: Path, stale: bool
) -> None:
    hook = Hook("claimed")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")

        async def other_server_sends(_: str) -> None:
            parts = another(it)
            async with Guard(parts) as other:
                sent = await other.send_elicited(operation, caller=CALLER, client="Claude")
                assert sent.state is OperationState.SUBMITTED
            if stale:
                it.exchange.change(AAPL, quantity=Decimal(-7))
            it.clock.advance(timedelta(minutes=6))  # a slow reading

        hook.work = other_server_sends
        said = await outcome(it, operation)
        assert it.exchange.effects == [instrument(AAPL)]
        assert getattr(said, "anything_sent", None) is not False, said


async def test_a_no_from_the_desk_while_the_account_is_read_again_counts_and_is_told_as_a_no(tmp_path: Path) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")

        async def declined(_: str) -> None:
            now = it.clock.now()
            it.store.decide(
                Decision(
                    operation_id=operation.operation_id,
                    digest=operation.plan.digest,
                    channel=Channel.DESK,
                    approved=False,
                    by="Ana",
                    decided_at=now,
                    expires_at=now,
                ),
                now,
            )
            assert (await it.guard.operation(operation.operation_id)).state is OperationState.DECLINED
            it.clock.advance(timedelta(minutes=6))

        hook.work = declined
        said = await outcome(it, operation)
        assert it.exchange.effects == []
        assert getattr(said, "state", OperationState.DECLINED) is OperationState.DECLINED


async def test_a_yes_in_time_leaves_a_trace_where_the_plan_ran_out_while_the_account_was_read(tmp_path: Path) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")
        it.clock.at = operation.plan.expires_at - timedelta(seconds=2)

        async def slow(_: str) -> None:
            it.clock.advance(timedelta(seconds=3))

        hook.work = slow
        said = await outcome(it, operation)
        await it.guard.operation(operation.operation_id)
        stored = it.store.operation(operation.operation_id)
        told = [(e.event, e.content) for e in it.store.journal(operation.operation_id)]
        assert stored.reason != "nobody decided in time", (said, told)


async def test_a_plan_altered_in_the_store_between_question_and_yes_is_refused_in_words(
    tmp_path: Path,
) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("TSLA")
        target = operation.plan.targets[0]
        it.exchange.change(TSLA, quantity=Decimal(-90), market_value=Decimal(-90) * 180)
        grown = target.changed(
            quantity=Decimal(-90),
            order_quantity=Decimal(90),
            available=Decimal(90),
            value=Decimal(-90 * 180),
            measure=Decimal(90 * 180),
        )
        forged = operation.plan.changed(targets=(grown,))
        path = tmp_path / "operations.sqlite"

        def put(plan: Any) -> None:
            with sqlite3.connect(path) as connection:
                connection.execute("UPDATE operations SET plan = ?", (plan.canonical.decode(),))
            connection.close()

        async def restored(_: str) -> None:
            put(operation.plan)

        hook.work = restored
        put(forged)
        said = await outcome(it, operation)
        assert it.exchange.effects == [], "90 were approved nowhere"
        assert isinstance(said, PositionsError)


async def test_a_question_that_was_answered_with_a_yes_keeps_nobody_from_asking_the_next(tmp_path: Path) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")
        operation = await it.guard.ask(operation, FORM)
        steps = []

        async def other(_: str) -> None:
            steps.append(await it.guard.step(await it.plan("MSFT"), can_elicit=True))

        hook.work = other
        await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert steps[0].rung is Rung.ELICITATION, steps[0].reason


@pytest.mark.parametrize("at", ["read again", "sending journalled", "answered"])
async def test_a_halt_stops_what_has_not_left_by_then(tmp_path: Path, at: str) -> None:
    hook = Hook(at)
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL", "MSFT")

        async def halt(_: str) -> None:
            it.store.set_halt(Halt(reason="stop", by="Ana", at=it.clock.now()))

        hook.work = halt
        await outcome(it, operation)
        stored = it.store.operation(operation.operation_id)
        assert len(it.exchange.effects) == (0 if at == "read again" else 1)
        assert stored.decision is not None
        assert it.store.verify().intact
        assert stored.stage in (Stage.REFUSED, Stage.FINISHED), stored


async def test_identical_yeses_at_once_in_one_server_send_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL", "MSFT")
        said = []

        async def go() -> None:
            said.append(await outcome(it, operation))

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(go)
        assert sorted(it.exchange.effects) == [instrument(AAPL), instrument(MSFT)]
        assert not it.parts.taken
        assert it.store.verify().intact
        assert it.store.operation(operation.operation_id).rows[0].state is RowState.SUBMITTED


async def test_a_yes_that_lapsed_while_the_account_was_read_is_told_as_lapsed_and_not_as_refused(
    tmp_path: Path,
) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")

        async def slow(_: str) -> None:
            it.clock.advance(timedelta(seconds=61))

        hook.work = slow
        said = await outcome(it, operation)
        assert it.exchange.effects == []
        stored = it.store.operation(operation.operation_id)
        assert (said.state, stored.stage) == (OperationState.LAPSED, Stage.LAPSED), (said.next_step, stored.reason)


async def test_what_is_told_while_the_account_is_read_again_is_not_older_than_the_store(tmp_path: Path) -> None:
    hook = Hook("read again")
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")
        told = []

        async def other_server_sends(_: str) -> None:
            parts = another(it)
            async with Guard(parts) as other:
                await other.send_elicited(operation, caller=CALLER, client="Claude")
            told.append(await it.guard.operation(operation.operation_id))
            told.extend((await it.guard.operations())[0])

        hook.work = other_server_sends
        await outcome(it, operation)
        assert [each.state for each in told] == [OperationState.SUBMITTED] * 2


async def test_what_another_server_sent_is_not_told_as_unsent_where_the_store_went_away(tmp_path: Path) -> None:
    hook = Hook("claimed")
    store = open_store(tmp_path / "operations.sqlite")
    away = Away(store, at="begin", done=False)
    async with desk(tmp_path, store=cast("OperationStore", away), checkpoint=hook) as it:
        operation = await it.asked("AAPL")

        async def other_server_sends(_: str) -> None:
            async with Guard(another(it, store=store)) as other:
                await other.send_elicited(operation, caller=CALLER, client="Claude")

        hook.work = other_server_sends
        said = await outcome(it, operation)
        away.is_away = False
        assert it.exchange.effects == [instrument(AAPL)]
        assert getattr(said, "anything_sent", None) is not False, said
    store.close()


async def test_of_one_answer_heard_twice_the_slower_does_not_say_that_nothing_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends its answered round twice, and both find the plan open: the second reading is slow."""
    sent, both, arrived = anyio.Event(), anyio.Event(), []
    found_open, each_found_it_open = [], anyio.Event()

    async def checkpoint(name: str, _: str) -> None:
        if name == "claimed":
            arrived.append(1)
            if len(arrived) == 2:
                both.set()
                await sent.wait()
            await both.wait()
        if name == "ended" and not sent.is_set():
            it.clock.advance(timedelta(seconds=61))
            sent.set()

    async with desk(tmp_path, checkpoint=checkpoint) as it:
        operation = await it.asked("AAPL")
        said = []
        stored_step = it.guard.stored_step

        async def together(*arguments: Any, **named: Any) -> Any:
            found = await stored_step(*arguments, **named)
            found_open.append(1)
            if len(found_open) == 2:
                each_found_it_open.set()
            await each_found_it_open.wait()
            return found

        monkeypatch.setattr(it.guard, "stored_step", together)

        async def go() -> None:
            said.append(await outcome(it, operation))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go)
            tasks.start_soon(go)
        assert len(arrived) == 2, "both were let in"
        assert it.exchange.effects == [instrument(AAPL)]
        assert [each for each in said if getattr(each, "anything_sent", None) is False] == []


@pytest.mark.requirement("G-04", "G-06")
@pytest.mark.parametrize("at", ["sending journalled", "answered"])
async def test_what_is_offered_to_the_store_late_leaves_alone_what_another_server_is_sending(
    tmp_path: Path, at: str
) -> None:
    hook = Hook(at)
    async with desk(tmp_path, checkpoint=hook) as it:
        operation = await it.asked("AAPL")
        now = it.clock.now()
        own = Decision(
            operation_id=operation.operation_id,
            digest=operation.plan.digest,
            channel=Channel.ELICITATION,
            approved=True,
            by="client Claude",
            decided_at=now,
            expires_at=now + timedelta(minutes=1),
            call="a call that never took the plan",
        )

        async def offered(_: str) -> None:
            unsent = operation.changed(stage=Stage.FINISHED, decision=own)
            await LateRecords(another(it), lambda: True).keep(FinishedOperation(unsent, "its lease", own))
            assert it.store.operation(operation.operation_id).rows[0].state is RowState.SENDING

        hook.work = offered
        said = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert hook.work is None
        assert said.state is OperationState.SUBMITTED
        assert it.store.operation(operation.operation_id).rows[0].state is RowState.SUBMITTED
