"""A chain for each account, anchored in the common one; checkpoints where a process begins, and no hole behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.servers import Server
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Ledger
from positions_mcp.store import anchors, walk
from positions_mcp.store.known import Known
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, NOW, begin, claimed, finished, lease_until, plan_of, planned, sending
from store.test_journal import edit

OTHER = AccountId(7)
HALT = Halt(reason="news", by="root", at=NOW)
MINE, OTHERS, LIVE = f"paper:{ACCOUNT}", f"paper:{OTHER}", f"live:{ACCOUNT}"


def plan_in(account_id: AccountId, name: str, **changes: object) -> Plan:
    return plan_of(name).changed(account_id=account_id, **changes)


def anchored(store: SqlOperationStore) -> None:
    """What a server does every few seconds."""
    server = Server(process="p", mode=Mode.PAPER, accounts=(), sends=True, desk_url=None, until=NOW)
    store.announce(server, NOW)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints as after a thousand entries."""
    monkeypatch.setattr(walk, "CHECKPOINT_AFTER", 8)


@pytest.mark.requirement("R-01")
def test_each_account_of_each_mode_has_a_chain_and_what_is_about_none_another(store: SqlOperationStore) -> None:
    planned(store, plan_of("op-1"))
    planned(store, plan_in(OTHER, "op-2"))
    planned(store, plan_of("op-3").changed(mode=Mode.LIVE))
    planned(store, plan_of("op-4"))
    store.set_halt(HALT)
    assert [entry.chain for entry in store.journal()] == [MINE, OTHERS, LIVE, MINE, ""]
    first, *_, fourth, halted = store.journal()
    assert fourth.previous == first.hash
    assert halted.previous == "0" * 64
    assert store.verify().intact
    assert store.newest() == store.verify().entries == 5


@pytest.mark.requirement("R-01")
def test_what_is_noted_of_verification_stands_for_every_chain(store: SqlOperationStore) -> None:
    heads = [store.verify().head]
    for step in (
        lambda: planned(store, plan_of("op-1")),
        lambda: planned(store, plan_in(OTHER, "op-2")),
        lambda: anchored(store),
        lambda: planned(store, plan_of("op-3")),
        lambda: store.set_halt(HALT),
    ):
        step()
        heads.append(store.verify().head)
    assert len(set(heads)) == len(heads)
    assert heads[3] == store.journal()[2].hash  # an entry that can be found again


CUT = {
    "its end": (
        "DELETE FROM journal WHERE operation_id = 'op-2'",
        "UPDATE chains SET (sequence, hash, entries) = (SELECT sequence, hash, 1 FROM journal WHERE sequence = 1)",
        "DELETE FROM operations WHERE id = 'op-2'",
        "DELETE FROM operation_rows WHERE operation_id = 'op-2'",
    ),
    "all of it": (
        f"DELETE FROM journal WHERE chain = '{MINE}'",
        f"DELETE FROM chains WHERE chain = '{MINE}'",
        "DELETE FROM operations",
        "DELETE FROM operation_rows",
    ),
}


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize("statements", CUT.values(), ids=CUT)
def test_an_account_whose_past_is_cut_off_without_a_trace_contradicts_the_anchor(
    opened: Callable[[], SqlOperationStore], place: Path | str, statements: tuple[str, ...]
) -> None:
    store = opened()
    planned(store, plan_of("op-1"))
    planned(store, plan_of("op-2"))
    anchored(store)
    for statement in statements:
        edit(place, statement)
    assert "anchors" in opened().verify().problem
    with pytest.raises(StoreUnavailable):  # by who has seen it
        planned(store, plan_of("op-3"))


@pytest.mark.requirement("R-01")
def test_nothing_is_anchored_twice_and_no_minute_twice(store: SqlOperationStore) -> None:
    planned(store)
    anchored(store)
    anchored(store)
    planned(store, plan_of("op-2"))
    anchored(store)
    assert [entry.event for entry in store.journal()] == ["plan made", "chains anchored", "plan made"]
    store.anchor(NOW + timedelta(minutes=1))
    store.anchor(NOW + timedelta(minutes=2))
    assert [entry.event for entry in store.journal()][3:] == ["chains anchored"]
    assert store.verify().intact


def test_a_process_begins_at_the_checkpoint_that_another_has_written(
    opened: Callable[[], SqlOperationStore], place: Path | str, short: None
) -> None:
    first = opened()
    first.set_halt(HALT)
    finished(first, plan_of("op-1"))
    planned(first, plan_in(OTHER, "op-2"))
    assert [entry.event for entry in first.journal()].count("checkpoint") == 1
    edit(place, "UPDATE journal SET at = '2026-11-20T15:31:00.000000+00:00' WHERE event = 'claimed'")
    second = opened()
    assert second.status().writable  # it has not looked there
    assert second.halts() == (HALT,)
    assert planned(second, plan_of("op-3")).stage is Stage.PLANNED
    assert "was altered" in second.verify().problem


BEFORE_IT = {
    "the halt and its entry": ("DELETE FROM meta WHERE key = 'halt'", "DELETE FROM journal WHERE event = 'halted'"),
    "the halt": ("DELETE FROM meta WHERE key = 'halt'",),
    "the entry of the halt": ("UPDATE journal SET event = 'resumed' WHERE event = 'halted'",),
    "the checkpoint": (
        """UPDATE journal SET content = replace(content, '"halt"', '"hald"') WHERE event = 'checkpoint'""",
    ),
    "a chain in the checkpoint": (
        "UPDATE journal SET content = replace(content, '9816', '9817') WHERE event = 'checkpoint'",
    ),
    "the last entry about it": (
        "UPDATE operations SET reason = 'x' WHERE id = 'op-1'",
        "UPDATE journal SET event = 'sending' WHERE operation_id = 'op-1' AND event = 'awaiting approval'",
    ),
    "it and what its entry says": ("UPDATE journal SET content = '{}' WHERE event = 'awaiting approval'",),
}


@pytest.mark.requirement("D-04", "G-11")
@pytest.mark.parametrize("statements", BEFORE_IT.values(), ids=BEFORE_IT)
def test_what_is_forged_before_a_checkpoint_is_noticed_before_anything_is_sent(
    opened: Callable[[], SqlOperationStore], place: Path | str, short: None, statements: tuple[str, ...]
) -> None:
    first = opened()
    first.set_halt(HALT)
    planned(first, plan_of("op-1"))
    first.move("op-1", expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=NOW)
    for number in range(2, 8):
        planned(first, plan_of(f"op-{number}"))
    assert "checkpoint" in [entry.event for entry in first.journal()]
    for statement in statements:
        edit(place, statement)
    second = opened()

    def send() -> None:
        second.move("op-1", expected=(Stage.AWAITING_APPROVAL,), to=Stage.REFUSED, reason="", now=NOW)
        assert second.halts() == (HALT,)

    with pytest.raises(StoreUnavailable):
        send()
    assert not second.verify().intact


@pytest.mark.requirement("R-01")
def test_a_checkpoint_that_says_something_else_than_the_journal_is_found_by_verification(
    store: SqlOperationStore, short: None
) -> None:
    store.set_halt(HALT)
    with store._writing() as transaction:  # as somebody does who can continue the chain
        heads = walk.heads(transaction.connection)
        anchors.write_checkpoint(transaction, heads, Known(), NOW)
    assert "not what was known then" in store.verify().problem


@pytest.mark.requirement("R-01")
def test_without_its_note_a_checkpoint_is_only_not_used(
    opened: Callable[[], SqlOperationStore], place: Path | str, short: None
) -> None:
    first = opened()
    finished(first)
    planned(first, plan_of("op-2"))
    edit(place, "DELETE FROM meta WHERE key = 'checkpoint'")
    second = opened()
    assert planned(second, plan_of("op-3")).stage is Stage.PLANNED
    assert second.verify().intact


@pytest.mark.requirement("G-06")
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_an_account_that_is_busy_keeps_no_other_waiting_and_a_halt_waits_for_neither_to_be_lost(
    opened: Callable[[], SqlOperationStore],
) -> None:
    busy, other = opened(), opened()
    operation = claimed(other, plan_in(OTHER, "op-2"))
    planned(busy)
    halted = threading.Event()

    def halt() -> None:
        other.set_halt(HALT)
        halted.set()

    def refuse_where_halted(ledger: Ledger) -> None:
        if ledger.halts():
            raise Refused("halted")

    thread = threading.Thread(target=halt)
    with busy._writing(MINE) as transaction:
        transaction.operation("op-1")
        begin(other, operation, 0, check=refuse_where_halted)  # does not wait
        thread.start()
        assert not halted.wait(0.2)  # what is being journalled comes before it
    thread.join()
    with pytest.raises(Refused):
        begin(busy, operation, 1, check=refuse_where_halted)
    assert [entry.event for entry in busy.journal()][-2:] == ["sending", "halted"]
    assert busy.verify().intact


@pytest.mark.requirement("G-06", "G-11")
def test_accounts_that_are_written_at_once_leave_chains_that_hold_and_a_count_that_grows(
    opened: Callable[[], SqlOperationStore], short: None
) -> None:
    stores = [opened() for _ in range(3)]

    def work(number: int) -> None:
        store = stores[number % 3]
        for turn in range(4):
            name = f"op-{number}-{turn}"
            claimed(store, plan_in(AccountId(1 + number % 4), name), lease=lease_until(token=name))
            store.finish(name, name, stage=Stage.LAPSED, reason="", rows=(), now=NOW)
            if turn == 2:
                store.set_halt(HALT.changed(account_id=AccountId(number + 1)))

    with ThreadPoolExecutor(6) as at_once:
        list(at_once.map(work, range(6)))
    found = stores[0].verify()
    assert found.problem == ""
    assert stores[1].newest() == found.entries == len(stores[2].journal(limit=10_000))
    assert len(stores[0].halts()) == 6


@pytest.mark.requirement("G-10")
def test_plans_of_several_accounts_together_keep_to_what_may_wait(opened: Callable[[], SqlOperationStore]) -> None:
    stores = [opened() for _ in range(3)]

    def at_most_four(ledger: Ledger) -> None:
        if sum(ledger.open_plans(Mode.PAPER, NOW).values()) >= 4:
            raise Refused("full")

    def plan(number: int) -> None:
        made = plan_in(AccountId(number), f"op-{number}")
        with suppress(Refused):
            stores[number % 3].add_plan(made, made.plan_id, NOW, check=at_most_four)

    with ThreadPoolExecutor(12) as at_once:
        list(at_once.map(plan, range(1, 13)))
    assert len(stores[0].operations()) == 4


@pytest.mark.requirement("G-11")
def test_outcomes_that_trip_the_halt_are_recorded_with_it_or_not_at_all(store: SqlOperationStore) -> None:
    sending(store)
    after = NOW + timedelta(minutes=2)
    store.expire(after, halt_after=1)
    assert [entry.event for entry in store.journal()][-2:] == ["lease ran out", "halted"]
    assert store.halts()
    assert store.verify().intact


HALT_FORGOTTEN = {
    "all that stands beside the journal": "DELETE FROM meta WHERE key <> 'schema_version'",
    "where the common chain ends": "DELETE FROM meta WHERE key IN ('halt', 'journal_head')",
    "where it ended before": "UPDATE meta SET value = '0:0:0' WHERE key = 'journal_head'",
}


@pytest.mark.requirement("D-04", "G-11")
@pytest.mark.parametrize("statement", HALT_FORGOTTEN.values(), ids=HALT_FORGOTTEN)
def test_a_halt_is_not_forgotten_where_the_journal_is_said_to_end_before_it(
    opened: Callable[[], SqlOperationStore], place: Path | str, statement: str
) -> None:
    planned(opened())
    opened().set_halt(HALT)
    edit(place, statement)
    begun_after = opened()
    with suppress(StoreUnavailable):
        assert begun_after.halts() == (HALT,)
    with pytest.raises(StoreUnavailable):
        begun_after.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
