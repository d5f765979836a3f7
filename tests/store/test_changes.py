"""What a store allows, in both databases: each change once, from where it may come, and nothing half done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from positions_mcp.domain.errors import InvalidInput, Overtaken, Refused
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Ledger
from positions_mcp.store.operations import SqlOperationStore
from store.steps import (
    ACCOUNT,
    MINUTE,
    NOW,
    allow,
    approved,
    begin,
    claimed,
    finished,
    lease_until,
    outcome,
    plan_of,
    planned,
    sending,
    yes_to,
)


def test_what_was_stored_is_read_back_exactly(store: SqlOperationStore) -> None:
    operation = finished(store)
    assert store.operation(operation.operation_id) == operation
    assert operation.plan.digest == plan_of().digest
    assert store.operations() == (operation,)


def test_the_same_arguments_find_the_plan_under_way_until_it_expires(store: SqlOperationStore) -> None:
    first = store.add_plan(plan_of("op-1"), "key", NOW)
    assert store.add_plan(plan_of("op-2"), "key", NOW + MINUTE) == first
    later = store.add_plan(plan_of("op-3", at=NOW + 5 * MINUTE), "key", NOW + 5 * MINUTE)
    assert later.operation_id == "op-3"
    assert store.latest("key") == later


@pytest.mark.parametrize("names", [("op-1", "op-2"), ("op-2", "op-1")])
@pytest.mark.parametrize("behind", [timedelta(0), timedelta(milliseconds=3)])
def test_of_two_plans_of_one_instant_the_later_one_is_the_one_that_was_planned_last(
    store: SqlOperationStore, names: tuple[str, str], behind: timedelta
) -> None:
    for name, at in zip(names, (NOW, NOW - behind), strict=True):
        store.add_plan(plan_of(name, at=at), "key", at)
        store.move(name, expected=[Stage.PLANNED], to=Stage.REFUSED, reason="", now=NOW)
    found = store.latest("key")
    assert found is not None
    assert found.operation_id == names[1]


def test_a_superseded_plan_is_ended_in_the_same_transaction(store: SqlOperationStore) -> None:
    store.add_plan(plan_of("op-1"), "key", NOW)
    assert store.add_plan(plan_of("op-2"), "key", NOW, supersede="op-1").operation_id == "op-2"
    assert store.operation("op-1").stage is Stage.EXPIRED


def test_a_plan_that_takes_the_place_of_another_has_its_room(store: SqlOperationStore) -> None:
    waiting: list[Mapping[str, int]] = []

    def look(ledger: Ledger) -> None:
        waiting.append(ledger.open_plans(Mode.PAPER, NOW))

    store.add_plan(plan_of("op-1"), "key", NOW, check=look)
    store.add_plan(plan_of("op-2"), "other key", NOW, check=look)
    store.add_plan(plan_of("op-3"), "key", NOW, supersede="op-1", check=look)
    assert waiting == [{}, {"tester": 1}, {"tester": 1}]


def test_the_dollars_of_a_refused_request_are_free_for_the_next(store: SqlOperationStore) -> None:
    used: list[Decimal] = []

    def look(ledger: Ledger) -> None:
        used.extend(ledger.used(Mode.PAPER, ACCOUNT, NOW.date()) for _ in range(2))

    operation = begin(store, claimed(store), 0, check=look)
    refused = outcome(operation, 0, RowState.REJECTED, reserved=0, reserved_on=None, ended=True)
    begin(store, operation, 1, check=look, outcome=[refused])
    assert used == [0, 0, 0, 0]
    assert store.used(Mode.PAPER, ACCOUNT, NOW.date()) == 1000


def test_five_threads_with_the_same_arguments_get_one_plan(store: SqlOperationStore) -> None:
    def plan(number: int) -> str:
        return store.add_plan(plan_of(f"op-{number}"), "key", NOW).operation_id

    with ThreadPoolExecutor(5) as at_once:
        assert len(set(at_once.map(plan, range(5)))) == 1
    assert store.verify().entries == 1


@pytest.mark.requirement("G-02")
def test_a_plan_is_decided_once(store: SqlOperationStore) -> None:
    operation = approved(store)
    with pytest.raises(Overtaken):
        store.decide(yes_to(operation), NOW)


@pytest.mark.requirement("G-02")
def test_a_decision_about_another_digest_is_refused(store: SqlOperationStore) -> None:
    operation = planned(store)
    other = plan_of(symbols=("TSLA",))
    with pytest.raises(Refused):
        store.decide(yes_to(operation).changed(digest=other.digest), NOW)
    assert store.operation("op-1").stage is Stage.PLANNED


def test_an_expired_plan_cannot_be_approved(store: SqlOperationStore) -> None:
    operation = planned(store)
    store.move("op-1", expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=NOW)
    with pytest.raises(Overtaken):
        store.decide(yes_to(operation), NOW + 5 * MINUTE)


def test_a_no_stops_what_was_approved_and_not_yet_taken(store: SqlOperationStore) -> None:
    operation = approved(store)
    declined = store.decide(yes_to(operation, approved=False), NOW)
    assert declined.stage is Stage.DECLINED
    assert store.declined_at(operation.plan.target_key) == NOW
    with pytest.raises(Overtaken):
        store.claim("op-1", lease_until(), NOW, check=lambda *_: None)


@pytest.mark.requirement("G-06")
def test_an_approved_operation_is_claimed_once(opened: Callable[[], SqlOperationStore]) -> None:
    first, second = opened(), opened()
    approved(first)

    def claim(store: SqlOperationStore, token: str) -> str:
        try:
            store.claim("op-1", lease_until(token=token), NOW, check=lambda *_: None)
        except Overtaken:
            return "overtaken"
        return "claimed"

    with ThreadPoolExecutor(6) as at_once:
        assert sorted(at_once.map(claim, [first, second] * 3, "123456")) == ["claimed"] + ["overtaken"] * 5


@pytest.mark.requirement("G-02")
def test_a_lapsed_approval_cannot_be_claimed(store: SqlOperationStore) -> None:
    approved(store)
    with pytest.raises(Overtaken):
        store.claim("op-1", lease_until(NOW + 5 * MINUTE), NOW + MINUTE, check=lambda *_: None)


@pytest.mark.requirement("G-02")
def test_an_approval_from_the_future_is_not_claimed_because_the_clock_was_set_back(store: SqlOperationStore) -> None:
    approved(store)
    with pytest.raises(Overtaken, match="clock was set back"):
        store.claim("op-1", lease_until(), NOW - MINUTE, check=allow)
    assert store.claim("op-1", lease_until(), NOW - MINUTE / 30, check=allow).stage is Stage.CLAIMED


@pytest.mark.requirement("G-04", "G-10")
def test_sending_and_the_reservation_are_one_change(store: SqlOperationStore) -> None:
    operation = claimed(store)

    def refuse(_: Ledger) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        begin(store, operation, 0, check=refuse)
    assert store.used(Mode.PAPER, ACCOUNT, NOW.date()) == 0
    assert store.operation("op-1").rows[0].state is RowState.NOT_SENT
    begin(store, operation, 0)
    assert store.used(Mode.PAPER, ACCOUNT, NOW.date()) == Decimal("1000.00")
    assert store.operation("op-1").state(NOW) is OperationState.SENDING


@pytest.mark.requirement("G-06")
def test_a_row_is_sent_once(store: SqlOperationStore) -> None:
    operation = sending(store)
    with pytest.raises(Overtaken):
        begin(store, operation, 0)


def test_another_process_cannot_send_a_claimed_row(store: SqlOperationStore) -> None:
    operation = claimed(store, lease=lease_until(token="another"))
    with pytest.raises(Overtaken):
        begin(store, operation, 0)


def test_a_rejected_row_gives_back_what_it_reserved(store: SqlOperationStore) -> None:
    operation = sending(store)
    row = outcome(operation, 0, RowState.REJECTED, reserved=Decimal(0), reserved_on=None)
    store.record("op-1", "claim-1", [row], NOW, halt_after=None)
    assert store.used(Mode.PAPER, ACCOUNT, NOW.date()) == 0


def test_time_ends_plans_and_approvals_that_nobody_used(store: SqlOperationStore) -> None:
    planned(store, plan_of("op-1"))
    approved(store, plan_of("op-2"))
    ended = {operation.operation_id: operation.stage for operation in store.expire(NOW + 5 * MINUTE)}
    assert ended == {"op-1": Stage.EXPIRED, "op-2": Stage.LAPSED}
    assert store.expire(NOW + 5 * MINUTE) == ()


def test_what_was_seen_of_rows_that_changed_meanwhile_is_not_written(store: SqlOperationStore) -> None:
    before = finished(store)
    seen = before.rows[0].changed(residual=Decimal(3))
    store.observe(before, [seen], NOW, event="followed")
    with pytest.raises(Overtaken):
        store.observe(before, [before.rows[0].changed(residual=Decimal(0))], NOW, event="followed")
    assert store.operation("op-1").rows[0].residual == 3


@pytest.mark.requirement("G-11")
def test_failures_in_a_row_halt_and_a_success_ends_the_row(store: SqlOperationStore) -> None:
    for number, state in enumerate([RowState.REJECTED, RowState.SUBMITTED, RowState.REJECTED, RowState.UNKNOWN]):
        operation = sending(store, plan_of(f"op-{number}"))
        store.record(operation.operation_id, "claim-1", [outcome(operation, 0, state)], NOW, halt_after=2)
        assert bool(store.halts()) == (number == 3)
    store.clear_halts("root", NOW, expected=store.halts())
    assert not store.halts()


@pytest.mark.requirement("G-11")
def test_a_success_in_another_mode_or_account_does_not_end_the_row(store: SqlOperationStore) -> None:
    live = plan_of("op-1").changed(mode=Mode.LIVE)
    operation = sending(store, live)
    store.record("op-1", "claim-1", [outcome(operation, 0, RowState.REJECTED)], NOW, halt_after=2)
    for other in (plan_of("op-2"), plan_of("op-3").changed(mode=Mode.LIVE, account_id=7)):
        operation = sending(store, other)
        store.record(other.plan_id, "claim-1", [outcome(operation, 0, RowState.SUBMITTED)], NOW, halt_after=2)
    operation = sending(store, live.changed(plan_id="op-4"))
    store.record("op-4", "claim-1", [outcome(operation, 0, RowState.REJECTED)], NOW, halt_after=2)
    (halt,) = store.halts()
    assert "LIVE account 19816" in halt.reason


@pytest.mark.requirement("G-11")
def test_leases_that_run_out_count_as_unknown_outcomes_once(store: SqlOperationStore) -> None:
    operation = sending(store, plan_of("op-1"))
    store.expire(NOW + MINUTE, halt_after=2)
    store.record("op-1", "claim-1", [outcome(operation, 0, RowState.REJECTED)], NOW + MINUTE, halt_after=2)
    assert not store.halts()
    sending(store, plan_of("op-2"))
    store.expire(NOW + MINUTE, halt_after=2)
    assert store.halts()


@pytest.mark.requirement("G-11")
def test_a_halt_is_seen_by_every_process_at_once(opened: Callable[[], SqlOperationStore]) -> None:
    first, second = opened(), opened()
    halt = Halt(reason="news", by="root", at=NOW)
    first.set_halt(halt)
    assert second.halts() == (halt,)


def test_operations_that_may_still_change_the_book_are_unfinished(store: SqlOperationStore) -> None:
    finished(store, plan_of("op-1"))
    planned(store, plan_of("op-2"))
    operation = sending(store, plan_of("op-3"))
    assert [it.operation_id for it in store.unfinished(Mode.PAPER, ACCOUNT)] == ["op-1", "op-3"]
    assert store.unfinished(Mode.LIVE, ACCOUNT) == ()
    assert [it.operation_id for it in store.sent_after_planning("op-2")] == ["op-3"]
    assert [it.operation_id for it in store.sent_after_planning("op-1")] == ["op-3"]
    assert operation.stage is Stage.CLAIMED


def test_an_operation_nobody_planned_is_an_error(store: SqlOperationStore) -> None:
    assert store.operation("op-9") is None
    with pytest.raises(InvalidInput):
        store.move("op-9", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)


def test_plans_that_nobody_has_decided_are_counted_by_mode_and_caller(store: SqlOperationStore) -> None:
    for number in range(3):
        planned(store, plan_of(f"op-{number}"))
    planned(store, plan_of("op-3").changed(caller='an "odd" caller\n$.caller'))
    planned(store, plan_of("op-4").changed(mode=Mode.LIVE))
    approved(store, plan_of("op-5"))
    mine = plan_of().caller
    assert store.open_plans(Mode.PAPER, NOW) == {mine: 3, 'an "odd" caller\n$.caller': 1}
    assert store.open_plans(Mode.LIVE, NOW) == {mine: 1}
    assert store.open_plans(Mode.PAPER, NOW + 5 * MINUTE) == {}


def test_what_a_plan_is_refused_for_is_looked_at_in_the_transaction_that_would_store_it(
    store: SqlOperationStore,
) -> None:
    def refuse(ledger: object) -> None:
        assert ledger is not store
        raise Refused("full")

    with pytest.raises(Refused, match="full"):
        store.add_plan(plan_of("op-1"), "key", NOW, check=refuse)
    assert store.operation("op-1") is None
    stored = store.add_plan(plan_of("op-2"), "key", NOW)
    assert store.add_plan(plan_of("op-3"), "key", NOW, check=refuse) == stored
