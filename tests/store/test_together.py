"""What belongs together is written in one transaction and read in one view: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from positions_mcp.cli.assembly.lazy_store import LazyStore
from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.operation.operation import Operation, Reservation
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Ending, Taking
from positions_mcp.store.operations import SqlOperationStore
from store.steps import MINUTE, NOW, approved, claimed, lease_until, plan_of, yes_to
from store.watching import asked_of
from trading import trading_floor, yes

RESERVING = {0: Reservation(measure=Decimal(1000), expected_quantity=Decimal(10))}
HALT = Halt(reason="fire drill", by="Ana", at=NOW)


def no_more(*_: object) -> None:
    raise Refused("No more may be.")


def anything(*_: object) -> None:
    pass


def asked(store: SqlOperationStore) -> Operation:
    return store.add_plan(plan_of(), "key", NOW, ask=anything)


def begin(store: SqlOperationStore, operation: Operation) -> Callable[..., Operation]:
    """The first request of what a form approved."""
    key, lease = operation.operation_id, lease_until()
    return partial(store.begin, key, lease, reserving=RESERVING, now=NOW, market_now=NOW)


def taking(operation: Operation, check: Callable[..., None] = anything) -> Taking:
    return Taking(yes_to(operation), lease_until(), check)


def events(store: SqlOperationStore) -> list[str]:
    assert store.verify().intact
    return [entry.event for entry in store.journal()]


@pytest.mark.requirement("G-06")
def test_a_plan_is_put_before_a_person_as_it_is_stored_and_counts_then(store: SqlOperationStore) -> None:
    assert asked(store).stage is Stage.AWAITING_APPROVAL
    assert events(store) == ["plan made", "awaiting approval"]
    plan = plan_of()
    assert store.counted_since(plan.mode, plan.account_id, plan.caller, NOW - MINUTE, 1) == NOW


@pytest.mark.requirement("G-10")
def test_a_plan_that_may_not_be_asked_about_is_stored_and_stays_open(store: SqlOperationStore) -> None:
    with pytest.raises(Refused, match="No more"):
        store.add_plan(plan_of(), "key", NOW, ask=no_more)
    assert events(store) == ["plan made"]
    found = store.operation("op-1")
    assert found is not None
    assert found.stage is Stage.PLANNED
    assert asked(store).stage is Stage.PLANNED, "the one under way is answered as it is"


@pytest.mark.requirement("G-04", "G-06")
def test_what_a_form_approved_is_decided_and_claimed_with_its_first_request(store: SqlOperationStore) -> None:
    operation = asked(store)
    sending = begin(store, operation)(check=anything, taking=taking(operation))
    assert (sending.stage, sending.rows[0].state) == (Stage.CLAIMED, RowState.SENDING)
    assert events(store)[2:] == ["approved", "claimed", "sending"]


@pytest.mark.requirement("G-04", "G-06")
@pytest.mark.parametrize("refused_by", ["the rules", "the check of the approval"])
def test_a_request_that_is_refused_leaves_nobody_having_decided(store: SqlOperationStore, refused_by: str) -> None:
    operation = asked(store)
    check, permit = (no_more, anything) if refused_by == "the rules" else (anything, no_more)
    with pytest.raises(Refused):
        begin(store, operation)(check=check, taking=taking(operation, permit))
    assert store.operation("op-1") == operation
    assert events(store) == ["plan made", "awaiting approval"]


@pytest.mark.requirement("G-06")
@pytest.mark.parametrize("meanwhile", ["declined", "approved", "sent"])
def test_what_was_decided_elsewhere_meanwhile_is_not_taken(store: SqlOperationStore, meanwhile: str) -> None:
    operation = asked(store)
    if meanwhile == "sent":
        begin(store, operation)(check=anything, taking=taking(operation))
    else:
        store.decide(yes_to(operation, approved=meanwhile == "approved"), NOW)
    before = events(store)
    with pytest.raises(Overtaken):
        begin(store, operation)(check=anything, taking=taking(operation))
    assert events(store) == before


@pytest.mark.requirement("G-06")
def test_a_yes_that_comes_after_its_plan_is_not_taken(store: SqlOperationStore) -> None:
    operation = asked(store)
    with pytest.raises(Overtaken, match="expired"):
        begin(store, operation)(check=anything, taking=taking(operation), now=NOW + 6 * MINUTE)
    assert events(store) == ["plan made", "awaiting approval"]


@pytest.mark.requirement("G-04")
def test_the_last_outcome_and_the_end_are_one(store: SqlOperationStore) -> None:
    operation = claimed(store)
    sending = begin(store, operation)(check=anything)
    row = sending.rows[0].changed(state=RowState.SUBMITTED, lease=None)
    ended = store.record(
        "op-1",
        "claim-1",
        [row],
        NOW,
        halt_after=3,
        ending=Ending(lease_until().token, Stage.FINISHED, "as planned", ()),
    )
    assert (ended.stage, ended.reason, ended.rows[0].state) == (Stage.FINISHED, "as planned", RowState.SUBMITTED)
    assert events(store)[-3:] == ["sending", "outcome", "ended"]


@pytest.mark.requirement("G-04", "G-05")
def test_an_outcome_is_written_where_the_claim_is_over_by_then(store: SqlOperationStore) -> None:
    sending = begin(store, claimed(store))(check=anything)
    store.expire(NOW + 6 * MINUTE)
    row = sending.rows[0].changed(state=RowState.SUBMITTED, lease=None)
    ending = Ending("claim-1", Stage.LAPSED, "", ())
    known = store.record("op-1", "claim-1", [row], NOW, halt_after=3, ending=ending)
    assert (known.stage, known.rows[0].state) == (Stage.FINISHED, RowState.SUBMITTED)
    assert "ended" not in events(store)


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize("stage", [Stage.STALE, Stage.LAPSED, Stage.REFUSED])
def test_what_a_form_approved_and_was_not_sent_is_decided_and_ended_at_once(
    store: SqlOperationStore, stage: Stage
) -> None:
    operation = asked(store)
    end = partial(store.finish, "op-1", "nobody's", stage=stage, reason="why", rows=(), now=NOW)
    ended = end(decided=yes_to(operation))
    assert (ended.stage, ended.reason, ended.decision) == (stage, "why", yes_to(operation))
    assert events(store)[2:] == ["approved", "ended"]
    with pytest.raises(Overtaken):
        end(decided=yes_to(operation))


def test_what_another_has_taken_is_not_ended_by_a_yes(store: SqlOperationStore) -> None:
    operation = claimed(store)
    with pytest.raises(Overtaken, match="no longer held"):
        store.finish("op-1", "mine", stage=Stage.STALE, reason="", rows=(), now=NOW, decided=yes_to(operation))
    assert events(store)[-1] == "claimed"


def test_what_is_read_at_once_is_of_one_moment_and_of_one_thread(
    opened: Callable[[], SqlOperationStore], store: SqlOperationStore
) -> None:
    other = opened()
    with store.at_once():
        assert store.halts() == ()
        other.set_halt(HALT)
        approved(other)
        with store.at_once():
            assert (store.halts(), store.operation("op-1"), store.operations()) == ((), None, ())
        assert store.halts() == ()
    assert store.halts() == (HALT,)
    assert store.operation("op-1") is not None


async def test_one_supervised_close_writes_four_times(tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        await floor.call("close_positions", {"instruments": ["XOM"]}, person=yes())
        store = floor.deps.guard._deps.store
        assert isinstance(store, LazyStore)
        with asked_of(store.open()) as statements:
            sent = await floor.call("close_positions", {"instruments": ["KO"]}, person=yes())
        assert sent.structured_content
        assert sent.structured_content["sent"] == "yes"
        assert statements.count("BEGIN IMMEDIATE") == 4
