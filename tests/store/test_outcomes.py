"""What came of a row: only who sent it can say, also after its lease ran out, and a person can settle the rest."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.operation.operation import Conclusion, Operation, Reservation, Resolution, Row
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.ports import Ending
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, MINUTE, NOW, allow, begin, claimed, lease_until, outcome, plan_of, sending


@pytest.mark.requirement("G-05")
def test_only_a_lease_that_ran_out_becomes_unknown(store: SqlOperationStore) -> None:
    sending(store)
    assert store.expire(NOW + MINUTE - MINUTE / 60) == ()
    (operation,) = store.expire(NOW + MINUTE)
    assert operation.rows[0].state is RowState.UNKNOWN
    assert operation.rows[1].state is RowState.NOT_SENT
    assert operation.state(NOW + MINUTE) is OperationState.UNKNOWN


def test_an_answer_after_the_lease_ran_out_is_still_kept(store: SqlOperationStore) -> None:
    operation = sending(store)
    store.expire(NOW + MINUTE)
    late = store.record("op-1", "claim-1", [outcome(operation, 0, RowState.SUBMITTED)], NOW + MINUTE, halt_after=None)
    assert late.rows[0].state is RowState.SUBMITTED
    with pytest.raises(Overtaken):
        begin(store, operation, 1)


def settled(operation: Operation) -> Row:
    """What a person concludes who has found nothing at the broker."""
    resolution = Resolution(conclusion=Conclusion.DID_NOT, by="root", evidence="no order", at=NOW, by_person=True)
    return operation.rows[0].changed(resolution=resolution, ended=True)


@pytest.mark.requirement("G-05", "G-07")
def test_an_answer_overrides_what_a_person_settled_before_it_came(store: SqlOperationStore) -> None:
    operation = sending(store)
    (lost,) = store.expire(NOW + MINUTE)
    store.observe(lost, [settled(lost)], NOW + MINUTE, event="settled")
    assert store.unfinished(Mode.PAPER, ACCOUNT) == ()
    late = store.record("op-1", "claim-1", [outcome(operation, 0, RowState.SUBMITTED)], NOW + MINUTE, halt_after=None)
    assert late.rows[0].state is RowState.SUBMITTED
    assert late.rows[0].resolution is None
    assert store.unfinished(Mode.PAPER, ACCOUNT) == (late,)
    (*_, last) = store.journal("op-1")
    assert last.event == "settlement overridden by the answer"
    assert last.content["settled"][0]["conclusion"] == Conclusion.DID_NOT


@pytest.mark.requirement("G-05")
def test_no_answer_in_time_overrides_nothing_that_was_settled(store: SqlOperationStore) -> None:
    operation = sending(store)
    (lost,) = store.expire(NOW + MINUTE)
    kept = store.observe(lost, [settled(lost)], NOW + MINUTE, event="settled")
    assert (
        store.record("op-1", "claim-1", [outcome(operation, 0, RowState.UNKNOWN)], NOW + MINUTE, halt_after=None)
        == kept
    )


@pytest.mark.requirement("G-02", "G-05")
@pytest.mark.parametrize("has_run_out", [False, True])
@pytest.mark.parametrize("state", [RowState.NOT_SENT, RowState.REJECTED, RowState.UNKNOWN, RowState.SUBMITTED])
def test_only_who_sent_a_row_can_say_what_came_of_it(
    store: SqlOperationStore, state: RowState, has_run_out: bool
) -> None:
    """Not even an unsent end of another server is written over a row that may have left."""
    operation = sending(store)
    if has_run_out:
        store.expire(NOW + MINUTE)
    before = store.operation("op-1")
    said = outcome(operation, 0, state, reserved=Decimal(0), reserved_on=None)
    ending = Ending("another", Stage.LAPSED, "", [said])
    for row in (said, said.changed(sent_at=NOW - MINUTE)):
        with pytest.raises(Overtaken, match="outcome of another request"):
            store.record("op-1", "another", [row], NOW, halt_after=None, ending=ending)
    with pytest.raises(Overtaken):
        store.finish("op-1", "another", stage=Stage.LAPSED, reason="", rows=[said], now=NOW, decided=operation.decision)
    assert store.operation("op-1") == before


@pytest.mark.requirement("G-02", "G-05")
def test_who_was_to_send_a_row_can_say_that_it_was_not_sent_after_its_lease_ran_out(store: SqlOperationStore) -> None:
    """It knows so though nobody told it that the row was noted as being sent."""
    operation = claimed(store)
    begin(store, operation, 0)
    store.expire(NOW + MINUTE)
    told = store.record("op-1", "claim-1", [operation.rows[0]], NOW + MINUTE, halt_after=None)
    assert (told.rows[0].state, told.rows[0].reserved) == (RowState.NOT_SENT, 0)
    with pytest.raises(Overtaken):
        begin(store, operation, 0)


@pytest.mark.requirement("G-05")
def test_an_outcome_is_of_the_request_that_it_came_of_and_not_of_the_next_one(store: SqlOperationStore) -> None:
    """The second of one claim, after the first provably did not leave."""
    first = sending(store)
    store.record("op-1", "claim-1", [unsent()], NOW, halt_after=None)
    later = {"now": NOW + MINUTE / 2, "market_now": NOW + MINUTE / 2}
    reserving = {0: Reservation(measure=Decimal("1000.00"))}
    second = store.begin("op-1", lease_until(), reserving=reserving, check=allow, **later)
    with pytest.raises(Overtaken, match="outcome of another request"):
        store.record("op-1", "claim-1", [outcome(first, 0, RowState.SUBMITTED)], NOW + MINUTE / 2, halt_after=None)
    known = store.record("op-1", "claim-1", [outcome(second, 0, RowState.SUBMITTED)], NOW + MINUTE / 2, halt_after=None)
    assert known.rows[0].state is RowState.SUBMITTED


def unsent() -> Row:
    """The first row as it is where provably nothing left."""
    return Row(position=0, detail="Not sent: no connection.")


@pytest.mark.requirement("G-05")
def test_what_an_older_release_left_in_doubt_is_answered_by_when_it_was_sent(store: SqlOperationStore) -> None:
    operation = sending(store)
    (lost,) = store.expire(NOW + MINUTE)
    store.observe(lost, [lost.rows[0].changed(lease=None)], NOW + MINUTE, event="followed")
    said = outcome(operation, 0, RowState.SUBMITTED)
    with pytest.raises(Overtaken):
        store.record("op-1", "claim-1", [said.changed(sent_at=NOW - MINUTE)], NOW + MINUTE, halt_after=None)
    assert store.record("op-1", "claim-1", [said], NOW + MINUTE, halt_after=None).rows[0].state is RowState.SUBMITTED


@pytest.mark.requirement("G-04", "G-05")
def test_an_outcome_is_written_with_the_next_request_and_alone_where_that_is_refused(store: SqlOperationStore) -> None:
    def refuse(_: object) -> None:
        raise Refused("halted")

    operation = sending(store)
    said = [outcome(operation, 0, RowState.SUBMITTED)]
    with pytest.raises(Refused, match="halted"):
        begin(store, operation, 1, check=refuse, outcome=said)
    assert [row.state for row in store.operation("op-1").rows] == [RowState.SUBMITTED, RowState.NOT_SENT]
    assert store.record("op-1", "claim-1", said, NOW, halt_after=None) == store.operation("op-1")
    both = begin(store, operation, 1, outcome=said)
    assert [row.state for row in both.rows] == [RowState.SUBMITTED, RowState.SENDING]
    with pytest.raises(Overtaken, match="sent once"):
        begin(store, operation, 1, outcome=said)
    assert store.operation("op-1") == both
    assert [entry.event for entry in store.journal("op-1")][-3:] == ["sending", "outcome", "sending"]
    assert store.verify().intact


@pytest.mark.requirement("G-05")
def test_an_outcome_of_another_server_keeps_the_next_request_back_and_changes_nothing(store: SqlOperationStore) -> None:
    operation = sending(store)
    begin(store, operation, 1)
    before = store.operation("op-1")
    theirs = outcome(before, 1, RowState.SUBMITTED).changed(sent_at=NOW - MINUTE)
    lease = lease_until().model_copy(update={"token": "another"})
    with pytest.raises(Overtaken, match="outcome of another request"):
        store.begin("op-1", lease, reserving={}, now=NOW, market_now=NOW, check=lambda _: None, outcome=[theirs])
    assert store.operation("op-1") == before


@pytest.mark.requirement("G-05")
def test_an_outcome_that_was_followed_since_is_there_and_stays_as_it_was_seen(store: SqlOperationStore) -> None:
    operation = sending(store)
    said = [outcome(operation, 0, RowState.SUBMITTED)]
    before = store.record("op-1", "claim-1", said, NOW, halt_after=None)
    seen = store.observe(before, [before.rows[0].changed(residual=Decimal(40))], NOW, event="followed")
    assert store.record("op-1", "claim-1", said, NOW, halt_after=None) == seen
    assert begin(store, operation, 1, outcome=said).rows[0] == seen.rows[0]
    with pytest.raises(Overtaken, match="SUBMITTED already"):
        store.record("op-1", "claim-1", [said[0].changed(sent_at=NOW - MINUTE)], NOW, halt_after=None)
    assert store.verify().intact


def test_a_write_checks_the_rows_that_it_changes_and_no_other(
    store: SqlOperationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, check = claimed(store, plan_of(symbols=tuple("ABCDEFGHIJ"))), Row.model_post_init
    checked: list[int] = []

    def noted(row: Row, context: object) -> None:
        checked.append(row.position)
        check(row, context)

    monkeypatch.setattr(Row, "model_post_init", noted)
    first = begin(store, operation, 0)
    begin(store, first, 1, outcome=[outcome(first, 0, RowState.SUBMITTED)])
    assert set(checked) == {0, 1}


def test_failures_in_a_row_are_counted_over_servers_and_end_with_a_success(
    opened: Callable[[], SqlOperationStore],
) -> None:
    servers = opened(), opened()
    for number, state in enumerate([RowState.REJECTED, RowState.SUBMITTED, RowState.REJECTED, RowState.REJECTED]):
        assert not servers[0].halts()
        store, name = servers[number % 2], f"op-{number}"
        told = outcome(sending(store, plan_of(name)), 0, state)
        store.record(name, "claim-1", [told], NOW, halt_after=2)
    assert len(servers[0].halts()) == 1
