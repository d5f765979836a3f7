"""Machines whose clocks differ share one database: its clock decides about leases and expiry, theirs do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from positions_mcp.cli.assembly.lazy_store import LazyStore, SharedClock
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.record import Record
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import Overtaken
from positions_mcp.domain.operation.operation import Operation, Reservation
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.ports import Clock
from positions_mcp.settings import load
from positions_mcp.store.operations import SqlOperationStore
from store.steps import MINUTE, allow, approved, lease_until, plan_of, planned, yes_to

AHEAD, BEHIND = 30 * MINUTE, -30 * MINUTE
"""Far more than any test takes."""
on_postgresql = pytest.mark.parametrize("place", ["postgresql"], indirect=True)


class Wrong:
    """A machine's clock that is wrong by so much."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def shared(store: SqlOperationStore, machine: Clock) -> SharedClock:
    """The clock of a machine on the store; `ahead` is measured against the machine's, which a test cannot set."""
    clock = SharedClock(machine, store)
    wrong = machine.by if isinstance(machine, Wrong) else timedelta(0)
    time = store._database._time
    if time is not None:
        time.ahead -= wrong
    return clock


def now() -> datetime:
    return datetime.now(UTC)


def claim(store: SqlOperationStore, operation: Operation, at: datetime) -> Operation:
    return store.claim(operation.operation_id, lease_until(at + MINUTE), at, check=allow)


def send(store: SqlOperationStore, operation: Operation, at: datetime) -> Operation:
    return store.begin(
        operation.operation_id,
        lease_until(at + MINUTE),
        reserving={0: Reservation(measure=Decimal("1000.00"))},
        now=at,
        market_now=at,
        check=allow,
    )


def decide(store: SqlOperationStore, operation: Operation, at: datetime) -> Operation:
    return store.decide(yes_to(operation, at=at), at)


def asked(store: SqlOperationStore, plan: Plan) -> Operation:
    expected, to = (Stage.PLANNED,), Stage.AWAITING_APPROVAL
    return store.move(planned(store, plan).operation_id, expected=expected, to=to, reason="", now=plan.created_at)


def being_sent(store: SqlOperationStore, at: datetime) -> Operation:
    """One whose request may be under way, by a process that has a minute for it."""
    return send(store, claim(store, approved(store, plan_of(at=at)), at), at)


@on_postgresql
@pytest.mark.parametrize("wrong", [AHEAD, BEHIND])
def test_a_machine_whose_clock_is_wrong_tells_the_time_of_the_database(store: SqlOperationStore, wrong: timedelta):
    clock = shared(store, Wrong(wrong))
    assert abs(clock.now() - now()) < MINUTE


def test_a_store_that_is_not_open_yet_leaves_the_machine_its_clock(place: str) -> None:
    store = LazyStore(lambda: SqlOperationStore(place))
    clock = SharedClock(SystemClock(), store)
    assert abs(clock.now() - now()) < MINUTE
    assert store.open()._goes_by_its_clock
    store.close()


@on_postgresql
@pytest.mark.requirement("G-04", "G-06")
def test_a_machine_that_is_ahead_does_not_end_a_lease_that_is_alive(store: SqlOperationStore) -> None:
    store.go_by_its_clock()
    operation = being_sent(store, now())
    for _ in range(2):
        assert store.expire(now() + AHEAD) == ()
    stored = store.operation(operation.operation_id)
    assert stored is not None
    assert (stored.stage, stored.rows[0].state) == (Stage.CLAIMED, RowState.SENDING)


@on_postgresql
@pytest.mark.requirement("G-05")
def test_a_lease_that_ran_out_is_ended_by_a_machine_that_is_behind(store: SqlOperationStore) -> None:
    operation = being_sent(store, now() - AHEAD)
    store.go_by_its_clock()
    assert [each.operation_id for each in store.expire(now())] == [operation.operation_id]


@on_postgresql
@pytest.mark.requirement("G-02")
@pytest.mark.parametrize(
    ("step", "does"),
    [
        (approved, claim),
        (lambda store, plan: claim(store, approved(store, plan), plan.created_at), send),
        (asked, decide),
    ],
    ids=["an approval that lapsed", "a claim that ran out", "a plan that expired"],
)
def test_a_machine_that_is_behind_does_not_use_what_is_over(
    store: SqlOperationStore,
    step: Callable[..., Operation],
    does: Callable[[SqlOperationStore, Operation, datetime], Operation],
) -> None:
    at = now() - AHEAD
    operation = step(store, plan_of(at=at))
    store.go_by_its_clock()
    with pytest.raises(Overtaken):
        does(store, operation, at)


@on_postgresql
def test_what_waited_for_a_lock_is_judged_by_the_time_after_the_wait(store: SqlOperationStore) -> None:
    store.go_by_its_clock()
    with store._writing() as transaction:
        first = transaction.at(now())
        transaction.connection.exec_driver_sql("SELECT pg_sleep(0.02)")
        assert transaction.at(now()) - first >= timedelta(seconds=0.02)


def test_an_injected_clock_is_left_as_it_is(store: SqlOperationStore) -> None:
    operation = approved(store)
    assert claim(store, operation, operation.plan.created_at).stage is Stage.CLAIMED


@on_postgresql
def test_a_person_at_a_terminal_decides_by_the_clock_of_the_store(store: SqlOperationStore, place: str) -> None:
    settings = load({"mode": "paper", "store": {"url": place}})
    record = Record(settings, store, Commands(settings))
    store._database._time.ahead = AHEAD
    for clock in (record, record.dependencies(Mode.PAPER).clock, record.dependencies(Mode.LIVE).market_clock):
        assert abs(clock.now() - now() - AHEAD) < MINUTE


def test_a_file_is_on_the_machine_whose_clock_counts(tmp_path: Path) -> None:
    settings = load({"mode": "paper", "data_dir": tmp_path})
    with open_operations(settings) as store:
        assert isinstance(Record(settings, store, Commands(settings)).clock, SystemClock)
        assert not store.ahead
