"""A process that is frozen, or cut off from PostgreSQL, in the middle of a write: others go on, and it finds out."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.store import engine, keeping, postgres
from positions_mcp.store.operations import SqlOperationStore
from store.cutting import Way, way_to
from store.steps import plan_of, planned

pytestmark = [pytest.mark.requirement("G-21"), pytest.mark.parametrize("place", ["postgresql"], indirect=True)]

HALT = Halt(reason="news", by="Ana", at=datetime(2026, 11, 20, 15, 30, tzinfo=UTC))
HOLDING = """
import sys, time
from positions_mcp.store import keeping
from positions_mcp.store.operations import SqlOperationStore
with SqlOperationStore(sys.argv[1])._database.writing() as connection:
    keeping.lock(connection)
    keeping.put(connection, "probe", "half of a change")
    print("holds it", flush=True)
    time.sleep(600)
"""


@contextmanager
def frozen_in_a_transaction(url: str) -> Iterator[None]:
    """Another process that holds the lock of every write, and is stopped."""
    with subprocess.Popen([sys.executable, "-c", HOLDING, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "holds it\n"
            process.send_signal(signal.SIGSTOP)
            yield
        finally:
            process.kill()


def in_vain(connection: Connection) -> None:
    """A statement on a way that is cut: nothing would ever come."""
    session: Any = connection.connection.driver_connection
    session.patience_s = 0.2
    keeping.get(connection, "probe")


@contextmanager
def cut_off_in_a_transaction(way: Way) -> Iterator[None]:
    """A store of this process that holds the lock of every write, and has written, when its way is cut."""
    store, holds, go_on = SqlOperationStore(way.url), threading.Event(), threading.Event()
    told: list[str] = []

    def write() -> None:
        try:
            with store._database.writing() as connection:
                keeping.lock(connection)
                keeping.put(connection, "probe", "half of a change")
                way.cut()
                holds.set()
                go_on.wait()
                in_vain(connection)
        except StoreUnavailable as error:
            told.append(error.message)

    thread = threading.Thread(target=write)
    thread.start()
    holds.wait()
    yield
    go_on.set()
    thread.join()
    assert "no answer within" in told[0]
    way.mend()
    assert store.halts() == (HALT,), "it is connected again by itself"
    store.close()


def test_a_halt_does_not_wait_for_a_process_that_is_frozen(place: str) -> None:
    store = SqlOperationStore(place)
    with frozen_in_a_transaction(place):
        store.set_halt(HALT)
        assert store.halts() == (HALT,)
        with store._database.reading() as connection:
            assert keeping.get(connection, "probe") is None
    store.close()


def test_a_halt_does_not_wait_for_a_process_that_is_cut_off_and_that_one_finds_out(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEFT_ALONE_S", 0.0)
    store = SqlOperationStore(place)
    with way_to(place) as way, cut_off_in_a_transaction(way):
        store.set_halt(HALT)
        assert store.halts() == (HALT,)
    store.close()


def in_a_statement(store: SqlOperationStore, way: Way) -> None:
    with store._database.reading() as connection:
        way.cut()
        in_vain(connection)


def in_a_commit(store: SqlOperationStore, way: Way) -> None:
    with store._database.writing() as connection:
        session: Any = connection.connection.driver_connection
        session.patience_s = 0.2
        way.cut()


def while_left_alone(store: SqlOperationStore, way: Way) -> None:
    way.cut()
    store.halts()


def before_it_is_opened(_: SqlOperationStore, way: Way) -> None:
    way.cut()
    SqlOperationStore(way.url)


@pytest.mark.parametrize("moment", [in_a_statement, in_a_commit, while_left_alone, before_it_is_opened])
def test_whoever_is_cut_off_at_any_moment_is_told(
    place: str, moment: Callable[[SqlOperationStore, Way], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_IS_THERE_S", 0.2)
    monkeypatch.setitem(postgres.LIBPQ, "connect_timeout", 2)  # the least that the library knows
    monkeypatch.setattr(engine, "LEFT_ALONE_S", 0.0)
    with way_to(place) as way:
        store = SqlOperationStore(way.url)
        with pytest.raises(StoreUnavailable, match="cannot be"):
            moment(store, way)
        way.mend()
        assert store.halts() == ()
        assert store.status().writable
        store.close()


def test_a_call_that_reads_often_waits_once_for_a_database_that_is_out_of_reach(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_IS_THERE_S", 0.2)
    monkeypatch.setitem(postgres.LIBPQ, "connect_timeout", 2)
    monkeypatch.setattr(engine, "LEFT_ALONE_S", 1e9)
    with way_to(place) as way:
        store = SqlOperationStore(way.url)
        store.set_halt(HALT)
        way.cut()
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            store.halts()
        way.mend()
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match="did not answer a moment ago"):
                store.halts()
        store.set_halt(HALT)  # a halt tries all the same
        assert store.halts() == (HALT,)
        store.close()


def test_a_database_that_says_why_is_not_out_of_reach(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SILENCE_S", 0.0)
    store = SqlOperationStore(place)
    with pytest.raises(StoreUnavailable), store._database.writing() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 50; SELECT pg_sleep(60)")
    assert store.halts() == ()
    store.close()


def test_the_wait_for_an_answer_is_longer_than_the_database_lets_anything_take(place: str) -> None:
    assert max(int(value.removesuffix("s")) for value in postgres.SESSION.values()) < postgres.ANSWER_S
    store = SqlOperationStore(place)
    for _ in range(2):  # a new session, and one that was used before
        with store._database.writing() as connection:
            session: Any = connection.connection.driver_connection
            assert session.patience_s == postgres.ANSWER_S
            store._database.take_time(connection)
            assert session.patience_s > 3600
    store.close()


def test_a_session_in_which_something_broke_off_is_not_used_again(
    place: str, opened: Callable[[], SqlOperationStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other, wait, left = opened(), opened(), postgres.Session.wait, 0

    def wait_and_break_off(session: postgres.Session, *arguments: Any, **named: Any) -> Any:
        nonlocal left
        answer, left = wait(session, *arguments, **named), left - 1
        if not left:
            raise MemoryError
        return answer

    monkeypatch.setattr(postgres.Session, "wait", wait_and_break_off)
    for answers in count(1):
        name, left = f"op-{answers}", answers
        with suppress(StoreUnavailable):
            planned(store, plan_of(name))
        if left > 0:  # it takes fewer
            break
        assert store.newest() == other.newest()
        assert store.operation(name) == other.operation(name)
        planned(store, plan_of(f"{name} again"))
    left = 0
    assert answers > 5
    assert store.verify().intact
