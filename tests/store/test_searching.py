"""Looking for operations, in both databases: what is asked for and no other, in pages that leave nothing out."""

from __future__ import annotations

import pytest

from positions_mcp.domain.errors import Overtaken
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Mode
from positions_mcp.domain.operation.search import Search
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, MINUTE, NOW, approved, outcome, plan_of, planned, sending
from store.watching import asked_of, steps_of


def unknown(store: SqlOperationStore, name: str) -> Operation:
    operation = sending(store, plan_of(name))
    return store.record(name, "claim-1", [outcome(operation, 0, RowState.UNKNOWN)], NOW, halt_after=None)


def names(found: tuple[Operation, ...]) -> list[str]:
    return [each.operation_id for each in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Search(), ["op-4", "op-3", "op-2", "op-5", "op-1"]),
        (Search(account_id=7), ["op-3"]),
        (Search(account_id=ACCOUNT, caller="TEST"), ["op-4", "op-2", "op-5", "op-1"]),
        (Search(caller="100%"), ["op-3"]),
        (Search(caller="1_0"), []),
        (Search(asked_by="tester", mode=Mode.PAPER), ["op-4", "op-2", "op-5", "op-1"]),
        (Search(asked_by="TESTER"), []),
        (Search(accounts=frozenset({ACCOUNT})), ["op-4", "op-2", "op-5", "op-1"]),
        (Search(accounts=frozenset()), []),
        (Search(mode=Mode.LIVE), []),
        (Search(kind=Kind.CLOSE_ALL_POSITIONS), ["op-2"]),
        (Search(state=OperationState.PLANNED), ["op-3", "op-2", "op-1"]),
        (Search(state=OperationState.APPROVED), ["op-4"]),
        (Search(state=OperationState.EXPIRED), []),
        (Search(in_doubt=True), ["op-5"]),
    ],
    ids=str,
)
def test_what_is_looked_for_is_found_newest_first(
    store: SqlOperationStore, wanted: Search, expected: list[str]
) -> None:
    planned(store, plan_of("op-1"))
    planned(store, plan_of("op-2", at=NOW + MINUTE).changed(kind=Kind.CLOSE_ALL_POSITIONS))
    planned(store, plan_of("op-3", at=NOW + 2 * MINUTE).changed(account_id=7, caller="100% sure"))
    approved(store, plan_of("op-4", at=NOW + 3 * MINUTE))
    unknown(store, "op-5")
    found = store.search(wanted, NOW + 3 * MINUTE, limit=10)
    assert (names(found.operations), found.after) == (expected, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_everything_once_also_what_was_planned_in_the_same_moment(
    store: SqlOperationStore, limit: int
) -> None:
    for number in range(6):
        planned(store, plan_of(f"op-{number}", at=NOW + (number // 3) * MINUTE))
    seen, after = list[str](), ""
    for _ in range(7):
        found = store.search(Search(), NOW, after=after, limit=limit)
        seen += names(found.operations)
        if found.after is None:
            break
        after = found.after
    assert seen == ["op-5", "op-4", "op-3", "op-2", "op-1", "op-0"]


def test_what_time_has_decided_and_nobody_wrote_down_is_found_by_what_it_is(store: SqlOperationStore) -> None:
    planned(store)
    later = NOW + 6 * MINUTE
    assert names(store.search(Search(state=OperationState.EXPIRED), later, limit=5).operations) == ["op-1"]
    assert not store.search(Search(state=OperationState.PLANNED), later, limit=5).operations


@pytest.mark.parametrize(
    ("wanted", "index", "read"),
    [
        (Search(mode=Mode.PAPER, account_id=ACCOUNT, accounts=frozenset({ACCOUNT})), "age", 4),
        (Search(mode=Mode.PAPER, accounts=frozenset({ACCOUNT}), state=OperationState.DECLINED), "age", 4),
        (Search(mode=Mode.PAPER, accounts=frozenset({ACCOUNT}), asked_by="tester"), "age", 4),
        (Search(mode=Mode.PAPER, accounts=frozenset({ACCOUNT}), asked_by="another"), "age", 0),
        (Search(mode=Mode.PAPER, accounts=frozenset({ACCOUNT}), state=OperationState.APPROVED), "stage", 1),
    ],
    ids=["all", "by state", "by caller", "another's", "of few"],
)
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_the_latest_are_found_by_an_index_and_no_others_are_read_however_many_there_are(
    store: SqlOperationStore, wanted: Search, index: str, read: int
) -> None:
    approved(store, plan_of("op-approved"))
    for number in range(6):
        planned(store, plan_of(f"op-{number}", at=NOW + number * MINUTE))
        store.move(f"op-{number}", expected=(Stage.PLANNED,), to=Stage.DECLINED, reason="", now=NOW)
    with asked_of(store) as asked:
        found = store.search(wanted, NOW, limit=3)
    assert len(found.operations) == min(read, 3)
    assert sum(text.count("'op-") for text in asked if text.lstrip().startswith("SELECT operation_rows")) == read
    found_by, *others = steps_of(store, asked)
    assert f"operations_{'by_age' if index == 'age' else 'by_stage'}" in found_by
    assert index == "stage" or not any("TEMP B-TREE" in step for step in others)


def test_what_waits_is_listed_by_expiry_and_what_expired_takes_no_place(store: SqlOperationStore) -> None:
    for number, minutes in enumerate([3, 1, 2, 0]):
        planned(store, plan_of(f"op-{number}", at=NOW + minutes * MINUTE))
    assert names(store.waiting(NOW + 5 * MINUTE, 2)) == ["op-1", "op-2"]


def test_a_halt_ends_only_if_it_is_the_one_that_was_seen(store: SqlOperationStore) -> None:
    seen, other = (Halt(reason=reason, by="root", at=NOW) for reason in ("a storm", "a flood"))
    store.set_halt(other)
    with pytest.raises(Overtaken):
        store.clear_halts("root", NOW, expected=[seen])
    assert store.halts() == (other,)
    store.clear_halts("root", NOW, expected=[other])
    assert not store.halts()
