"""How much a caller may ask for: by the minute and the day, in all processes together, and never a person."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from guard import asker
from guard.desk import CALLER, FORM, PASSPHRASE, POLICY, Desk, desk
from guard.exchange import ACCOUNT, FRIDAY, StandingClock, held
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore
from store.steps import plan_of, planned

pytestmark = pytest.mark.requirement("G-10", "G-23")

SYMBOLS = [f"S{number}" for number in range(1, 10)]
SECOND = timedelta(seconds=1)


def rated(minute: int | None = None, day: int | None = None) -> Policy:
    return POLICY.model_copy(update={"max_operations_per_minute": minute, "max_operations_per_day": day})


def many() -> list[Any]:
    return [held(symbol, 1, number=number) for number, symbol in enumerate(SYMBOLS, 1)]


async def asked(it: Desk, *symbols: str, **options: Any) -> list[bool]:
    """Whether each may be asked for."""
    told = []
    for symbol in symbols:
        try:
            told.append((await it.asked(symbol, **options)).stage is Stage.AWAITING_APPROVAL)
        except Refused:
            told.append(False)
    return told


async def test_in_a_minute_no_more_than_the_limit_and_the_refusal_says_from_when_again(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=2)) as it:
        assert await asked(it, "S1", "S2") == [True, True]
        it.clock.advance(20 * SECOND)
        with pytest.raises(Refused, match="2 operations in account 19816 within a minute") as refused:
            await it.asked("S3")
        assert "from 2026-11-20 10:31:00 New York by the real clock on" in refused.value.message
        assert "Nothing was sent" in refused.value.hint
        it.clock.advance(40 * SECOND)
        assert await asked(it, "S3", "S4", "S5") == [True, True, False]
        assert it.exchange.requests == []


async def test_a_fraction_of_a_second_too_early_is_said_to_be_the_next_whole_second(tmp_path: Path) -> None:
    clock = StandingClock(FRIDAY + timedelta(microseconds=1))
    async with desk(tmp_path, positions=many(), policy=rated(minute=1), clock=clock) as it:
        await it.asked("S1")
        with pytest.raises(Refused, match="10:31:01"):
            await it.asked("S2")
        clock.advance(timedelta(seconds=59, microseconds=999_999))
        assert await asked(it, "S2") == [False]
        clock.advance(timedelta(microseconds=1))
        assert await asked(it, "S2") == [True]


async def test_a_day_is_new_yorks_and_ends_at_its_midnight(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(day=2)) as it:
        assert await asked(it, "S1", "S2") == [True, True]
        it.clock.at = datetime.fromisoformat("2026-11-20T23:59:59-05:00")
        with pytest.raises(Refused, match=r"within a New York day.*again from 2026-11-21 00:00:00 New York"):
            await it.asked("S3")
        it.clock.advance(SECOND)
        assert await asked(it, "S4", "S5", "S6") == [True, True, False]


async def test_a_clock_that_is_set_back_gives_no_more(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=1)) as it:
        assert await asked(it, "S1") == [True]
        it.clock.advance(-timedelta(hours=1))
        assert await asked(it, "S2") == [False]


async def test_each_caller_has_its_own_and_no_limit_is_none(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=1)) as it:
        assert await asked(it, "S1", "S2") == [True, False]
        assert await asked(it, "S3", "S4", caller="another") == [True, False]
    async with desk(tmp_path / "without", positions=many(), policy=rated()) as it:
        assert await asked(it, *SYMBOLS) == [True] * len(SYMBOLS)


async def test_one_plan_counts_once_however_often_it_is_asked_for_and_also_once_it_was_declined(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=2)) as it:
        operation = await it.asked("S1")
        assert (await it.guard.ask(operation)).operation_id == operation.operation_id
        await it.guard.decline(operation, client="Claude")
        assert await asked(it, "S2", "S3") == [True, False]


async def test_what_was_refused_stays_a_plan_and_is_asked_for_later_and_the_caller_may_ask_another_question(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=1)) as it:
        await it.asked("S1")
        waiting = await it.plan("S2")
        with pytest.raises(Refused):
            await it.guard.ask(waiting.operation, FORM)
        assert (await it.parts.operation(waiting.operation.operation_id)).stage is Stage.PLANNED
        it.clock.advance(60 * SECOND)
        other = await it.plan("S3")
        assert (await it.guard.step(other, can_elicit=True)).reason == ""
        assert (await it.guard.ask(waiting.operation)).stage is Stage.AWAITING_APPROVAL


async def test_what_a_person_approves_and_flattens_is_not_stopped_by_it(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=many(), policy=rated(minute=1, day=1)) as it:
        first = await it.approved_at_desk("S1")
        previewed = (await it.plan("S2")).operation
        await it.supervisor.approve(previewed.operation_id, PASSPHRASE)
        for each in (first, previewed):
            assert (await it.guard.send_approved(each.operation_id, caller=CALLER)).anything_sent is True
        assert await asked(it, "S3") == [False]  # the second counts, though it was not refused
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["S4"], by="root")
        assert (await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))).anything_sent is True


async def test_what_was_never_asked_for_counts_and_is_refused_when_it_is_taken(
    tmp_path: Path,
) -> None:
    """As what a mandate allows: the decision is nobody's of this moment."""
    async with desk(tmp_path, positions=many(), policy=rated(minute=1)) as it:
        first, second = [await it.asked("S1"), (await it.plan("S2")).operation]
        assert first.stage is Stage.AWAITING_APPROVAL
        told = []

        def ration(ledger: Any, operation: Any) -> None:
            told.append(ledger.counted_since(operation.plan.mode, ACCOUNT, CALLER, FRIDAY - SECOND, 1))
            raise Refused("too many")

        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.supervisor.approve(second.operation_id, PASSPHRASE)
        with pytest.raises(Refused, match="too many"):
            it.store.claim(second.operation_id, lease(it), FRIDAY, check=lambda *_: None, ration=ration)
        assert told == [FRIDAY]
        assert (await it.parts.operation(second.operation_id)).state(FRIDAY) is OperationState.APPROVED


def lease(it: Desk) -> Any:
    from positions_mcp.domain.operation.operation import Lease

    return Lease(token="claim-1", process="here", until=it.clock.now() + 60 * SECOND)


def test_two_processes_that_ask_at_once_cannot_split_the_limit(tmp_path: Path, place: Path | str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "guard.asker", str(tmp_path), str(number), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(asker.__file__).parents[1],
        )
        for number in (1, 2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    let = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(let) == asker.MOST < 2 * asker.PLANS
    store = open_store(place)
    assert store.counted_since(Mode.PAPER, ACCOUNT, CALLER, FRIDAY - SECOND, asker.MOST) == FRIDAY
    assert store.counted_since(Mode.PAPER, ACCOUNT, CALLER, FRIDAY - SECOND, asker.MOST + 1) is None
    assert store.verify().intact
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlOperationStore]:
    it = SqlOperationStore(tmp_path / "operations.sqlite")
    yield it
    it.close()


def test_the_count_is_looked_up_in_an_index_and_walks_nothing(store: SqlOperationStore) -> None:
    planned(store)
    store.move("op-1", expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=FRIDAY)
    asked_of: list[tuple[str, Any]] = []
    with store._database.reading() as connection:
        engine = connection.engine

        @event.listens_for(engine, "before_cursor_execute")
        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked_of.append((statement, parameters))

        assert store.counted_since(Mode.PAPER, ACCOUNT, "tester", FRIDAY - SECOND, 1) == FRIDAY
        event.remove(engine, "before_cursor_execute", note)
        ((statement, parameters),) = [each for each in asked_of if "counted_at" in each[0]]
        explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert [row[3].split(" (")[0] for row in explained] == ["SEARCH operations USING COVERING INDEX operations_counted"]


def test_an_edited_count_is_noticed(store: SqlOperationStore) -> None:
    planned(store, plan_of())
    store.move("op-1", expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=FRIDAY)
    assert store.verify().intact
    for change in ("counted_at = NULL", "caller = 'another'"):
        with store._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE operations SET {change}")
        assert "op-1 is not as it was written" in store.verify().problem
