"""Several halts may stand at once, each over its part; together they are one value that the journal covers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.desk import CALLER, desk
from guard.test_processes import effects, start
from positions_mcp.domain.errors import Overtaken, StoreUnavailable
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.domain.operation.supervision import Halt, Trade
from positions_mcp.store.operations import SqlOperationStore
from store.steps import ACCOUNT, MINUTE, NOW, plan_of
from store.test_journal import edit

pytestmark = pytest.mark.requirement("G-11")

EVERYTHING = Halt(reason="news", by="Ana", at=NOW)
CLOSES = Halt(reason="a storm", by="Ana", at=NOW, account_id=ACCOUNT, kind=Trade.CLOSE)
BOT = Halt(reason="a loop", by="bot", at=NOW, caller="token of bot")


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({}, True),
        ({"account_id": ACCOUNT}, True),
        ({"account_id": 7}, False),
        ({"kind": Trade.CLOSE}, True),
        ({"kind": Trade.EXERCISE}, False),
        ({"caller": "tester"}, True),
        ({"caller": "TESTER"}, True),
        ({"caller": "test"}, False),
        ({"caller": "tester", "account_id": 7}, False),
        ({"caller": "tester", "account_id": ACCOUNT, "kind": Trade.CLOSE}, True),
    ],
)
def test_a_halt_covers_what_it_names_and_nothing_else(scope: dict[str, object], covered: bool) -> None:
    assert EVERYTHING.changed(**scope).covers(plan_of()) is covered


@pytest.mark.parametrize("caller", ["ana through claude-code", "token of claude-code", "Claude-Code"])
def test_a_person_names_a_caller_by_its_client_or_its_token(caller: str) -> None:
    assert EVERYTHING.changed(caller="claude-code").covers(plan_of().changed(caller=caller))
    assert not EVERYTHING.changed(caller="code").covers(plan_of().changed(caller=caller))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_either_a_close_or_an_exercise(kind: Kind) -> None:
    assert (Trade.of(kind) is Trade.CLOSE) is kind.is_close


def test_halts_stand_beside_each_other_and_one_of_the_same_scope_takes_the_place_of_the_earlier(
    opened: Callable[[], SqlOperationStore],
) -> None:
    store = opened()
    again = BOT.changed(reason="a loop, again")
    for halt in (EVERYTHING, CLOSES, BOT, again):
        assert store.set_halt(halt) == halt
    assert opened().halts() == (EVERYTHING, CLOSES, again)
    assert store.verify().intact


def test_one_halt_is_stored_as_it_always_was(store: SqlOperationStore) -> None:
    store.set_halt(EVERYTHING)
    assert set(json.loads(EVERYTHING.canonical)) == {"reason", "by", "at"}
    assert store.journal()[-1].content.keys() == {"reason", "by", "at", "key"}


@pytest.mark.parametrize("ended", [(EVERYTHING,), (CLOSES, BOT), (EVERYTHING, CLOSES, BOT)])
def test_those_end_that_were_seen_and_the_others_stay(store: SqlOperationStore, ended: tuple[Halt, ...]) -> None:
    standing = (EVERYTHING, CLOSES, BOT)
    for halt in standing:
        store.set_halt(halt)
    store.clear_halts("Ana", NOW, expected=ended)
    assert store.halts() == tuple(halt for halt in standing if halt not in ended)
    with pytest.raises(Overtaken):
        store.clear_halts("Ana", NOW, expected=ended)


@pytest.mark.parametrize(
    "value", ["NULL", "'[]'", "'no json'", "'[{}]'", "(SELECT value FROM meta WHERE key = 'journal_head')"]
)
def test_where_what_stood_was_altered_nothing_is_sent_and_the_next_halt_is_of_everything(
    store: SqlOperationStore, place: Path | str, value: str
) -> None:
    store.set_halt(CLOSES)
    store.set_halt(BOT)
    edit(place, "DELETE FROM meta WHERE key = 'halt'")
    if value != "NULL":
        edit(place, f"INSERT INTO meta (key, value) VALUES ('halt', {value})")
    with pytest.raises(StoreUnavailable):
        store.halts()
    halt = store.set_halt(BOT.changed(at=NOW + MINUTE))
    assert halt.is_of_everything
    assert store.halts() == (halt,)


@pytest.mark.parametrize("narrowed", [{}, {"account_id": ACCOUNT}, {"caller": CALLER}, {"kind": Trade.CLOSE}])
async def test_a_halt_that_races_another_process_is_followed_by_no_request(
    tmp_path: Path, place: Path | str, narrowed: dict[str, object]
) -> None:
    async with desk(tmp_path, place=place) as it:
        operation = await it.approved_at_desk("AAPL", "TSLA", "MSFT")
        process = start(tmp_path, operation.operation_id, 1, str(place))
        process.stdin.write("go\n")
        process.stdin.flush()
        it.store.set_halt(EVERYTHING.changed(**narrowed))
        said = process.communicate(timeout=30)[0].strip()
        events = it.events()
        sent = effects(tmp_path)
        assert "sending" not in events[events.index("halted") :]
        assert len(sent) == events.count("sending")
        assert said in (OperationState.REFUSED, OperationState.SUBMITTED, OperationState.PARTIAL)
        assert len(sent) == 3 or "halted" in it.store.operation(operation.operation_id).reason
