"""Who looks for changes misses none, in whatever order accounts that write at once are committed; and time passes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, MINUTE, NOW, plan_of, planned

OTHER = AccountId(7)
MINE = f"paper:{ACCOUNT}"
POSTGRESQL = pytest.mark.parametrize("place", ["postgresql"], indirect=True)


def test_what_changed_is_named_once_and_nothing_where_nothing_did(opened: Callable[[], SqlOperationStore]) -> None:
    store, reader = opened(), opened()
    planned(store, plan_of("before"))
    ends = reader.ends()
    assert reader.changed_since(ends, most=10) == (ends, ())
    for name in ("first", "second"):
        planned(store, plan_of(name))
    planned(store, plan_of("elsewhere").changed(account_id=OTHER))
    store.note("noted", "first", {}, NOW)
    store.set_halt(Halt(reason="news", by="Ana", at=NOW))
    now, changed = reader.changed_since(ends, most=10)
    assert changed == ("second", "elsewhere", "first")
    assert reader.changed_since(now, most=10) == (now, ())
    assert reader.changed_since(ends, most=2)[1] == ("elsewhere", "first")
    assert set(reader.changed_since({}, most=10)[1]) == {"before", "first", "second", "elsewhere"}


@POSTGRESQL
def test_a_change_that_is_committed_after_one_with_a_higher_number_is_heard_of_too(
    opened: Callable[[], SqlOperationStore],
) -> None:
    slow, quick, reader = opened(), opened(), opened()
    planned(slow, plan_of("slow"))
    planned(quick, plan_of("quick").changed(account_id=OTHER))
    ends = reader.ends()
    with slow._writing(MINE) as change:
        change.append(change.operation("slow"), "noted", {}, NOW)
        quick.note("noted", "quick", {}, NOW)
        ends, changed = reader.changed_since(ends, most=10)
        assert changed == ("quick",)
    assert [entry.operation_id for entry in reader.journal()][-2:] == ["slow", "quick"], "numbered in this order"
    ends, changed = reader.changed_since(ends, most=10)
    assert changed == ("slow",)
    assert reader.changed_since(ends, most=10) == (ends, ())


@POSTGRESQL
@pytest.mark.requirement("G-06")
@pytest.mark.parametrize("same_process", [True, False])
def test_what_time_decides_of_one_account_does_not_wait_for_another_that_is_being_written(
    opened: Callable[[], SqlOperationStore], same_process: bool
) -> None:
    holder = opened()
    store = holder if same_process else opened()
    planned(store, plan_of("held"))
    planned(store, plan_of("free").changed(account_id=OTHER))
    holds, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with holder._writing(MINE):
            holds.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        holds.wait()
        later = NOW + 10 * MINUTE
        assert [each.operation_id for each in store.expire(later)] == ["free"]
    finally:
        go_on.set()
        thread.join()
    assert [(each.operation_id, each.stage) for each in store.expire(later)] == [("held", Stage.EXPIRED)]


@POSTGRESQL
def test_what_time_decides_waits_for_no_change_that_concerns_all(opened: Callable[[], SqlOperationStore]) -> None:
    holder, store = opened(), opened()
    planned(store, plan_of("held"))
    with holder._writing():
        assert store.expire(NOW + 10 * MINUTE) == ()
    assert len(store.expire(NOW + 10 * MINUTE)) == 1
