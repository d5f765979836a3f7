"""Nobody waits without end: for a lock, for a session that is frozen or cut off, or while much is written down."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.store import engine, expiring, journal, postgres, records
from positions_mcp.store.operations import SqlOperationStore
from store.steps import MINUTE, NOW, finished, plan_of, planned, sending

HALT = Halt(reason="news", by="Ana", at=NOW)
LONGEST_S = 12
"""Within which a person has an answer."""


@contextmanager
def locked(place: Path | str, *, forever: bool) -> Iterator[Any]:
    """Another session in the middle of a write, whose process is frozen. `forever`: as an older program left it."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield other
        return
    with psycopg.connect(place) as other:
        if not forever:
            other.execute(f"SET idle_in_transaction_session_timeout = '{postgres.SESSION[IDLE]}'")
        other.execute("SELECT value FROM meta FOR UPDATE").fetchall()
        yield other
        other.close()


IDLE = "idle_in_transaction_session_timeout"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, twenty times shorter."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.4)
    monkeypatch.setattr(engine, "_PROBE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(postgres, "SESSION", {**postgres.SESSION, "lock_timeout": "400ms"})


@pytest.mark.requirement("G-21")
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_every_wait_of_every_connection_has_an_end_that_leaves_time_to_answer(place: str) -> None:
    store = SqlOperationStore(place)
    for opening in (store._database.reading, store._database.writing):
        with opening() as connection:
            told = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in postgres.SESSION}
            assert told == postgres.SESSION | {"tcp_user_timeout": told["tcp_user_timeout"]}  # none for a socket
            pid, url = connection.connection.dbapi_connection.info.backend_pid, connection.connection.dbapi_connection
            assert pid
            assert url.info.get_parameters()["connect_timeout"] == "4"
    store.close()
    seconds = {name: int(value.removesuffix("s")) for name, value in postgres.SESSION.items()}
    assert seconds[IDLE] < seconds["lock_timeout"]  # the frozen one is gone before the waiting one gives up
    assert postgres.LIBPQ["connect_timeout"] + seconds["lock_timeout"] < LONGEST_S
    assert engine._PROBE_TIMEOUT_S + engine.BUSY_TIMEOUT_S < LONGEST_S


@pytest.mark.requirement("G-21")
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_halt_goes_through_once_a_frozen_session_has_lost_its_transaction(place: str) -> None:
    store = SqlOperationStore(place)
    planned(store)
    with locked(place, forever=False):
        started = time.monotonic()
        store.set_halt(HALT)
        assert time.monotonic() - started < LONGEST_S
    assert store.halts() == (HALT,)
    store.close()


@pytest.mark.requirement("G-21")
def test_a_lock_that_nobody_gives_back_is_said_in_time_and_leaves_nothing_behind(
    place: Path | str, hurried: None
) -> None:
    store = SqlOperationStore(place)
    planned(store)
    with locked(place, forever=True):
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            store.set_halt(HALT)
        assert not store.halts()
        assert store.operations()
    store.set_halt(HALT)
    assert store.halts() == (HALT,)
    store.close()


@pytest.mark.requirement("G-21")
def test_a_lock_that_was_there_at_opening_leaves_nobody_read_only(place: Path | str, hurried: None) -> None:
    SqlOperationStore(place).close()
    with locked(place, forever=True):
        store = SqlOperationStore(place)
        assert not store.status().writable
    assert store.status().writable
    assert planned(store).stage is Stage.PLANNED
    store.close()


def test_what_could_not_be_written_when_it_was_opened_is_written_once_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "operations.sqlite"
    SqlOperationStore(place).close()
    reasons = ["database or disk is full", "attempt to write a readonly database", ""]
    monkeypatch.setattr(engine, "_why_not_writable", lambda _: reasons[0])
    store = SqlOperationStore(place)
    for reason in reasons[:2]:
        assert reason in store.status().reason
        with pytest.raises(StoreUnavailable, match=reason):
            store.set_halt(HALT)
        reasons.pop(0)
    store.set_halt(HALT)
    assert store.status().writable
    store.close()


@pytest.mark.requirement("G-21")
def test_so_many_expire_at_once_that_others_can_write_and_a_lost_request_goes_first(
    store: SqlOperationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "EXPIRED_AT_ONCE", 3)
    sending(store, plan_of("op-lost"))
    for number in range(5):
        planned(store, plan_of(f"op-{number}", at=NOW - 10 * MINUTE + timedelta(seconds=number)))
    later = NOW + 60 * MINUTE
    written = [[operation.operation_id for operation in store.expire(later)] for _ in range(3)]
    assert written == [["op-lost", "op-0", "op-1"], ["op-2", "op-3", "op-4"], []]
    assert store.operation("op-lost").rows[0].state is RowState.UNKNOWN


@pytest.mark.requirement("R-01")
def test_any_number_of_operations_is_verified_and_listed_some_at_a_time(
    store: SqlOperationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "CHUNK", 2)
    monkeypatch.setattr(journal, "_CHUNK", 3)
    made: list[Operation] = [finished(store, plan_of(f"op-{number}")) for number in range(5)]
    assert store.verify().intact
    assert sorted(store.operations(), key=lambda operation: operation.operation_id) == made
    for column, key in (("operations.reason", "id"), ("operation_rows.reserved", "position = 1 AND operation_id")):
        for number in range(5):
            with altered(store, column, f"{key} = 'op-{number}'"):
                assert f"op-{number}" in store.verify().problem
    for entry in [each.sequence for each in store.journal()]:
        with altered(store, "journal.event", f"sequence = {entry}"):
            assert f"entry {entry} " in store.verify().problem
    assert store.verify().intact


@contextmanager
def altered(store: SqlOperationStore, column: str, of: str) -> Iterator[None]:
    """Within, a text in the tables has been changed behind the program's back."""
    table, name = column.split(".")

    def change(how: str) -> None:
        with store._database.writing() as connection:
            assert connection.exec_driver_sql(f"UPDATE {table} SET {name} = {how} WHERE {of}").rowcount == 1

    change(f"{name} || '7'")
    yield
    change(f"substr({name}, 1, length({name}) - 1)")
