"""A journal that lacks what its servers have seen halts everything: what a failover lost, or a backup never had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from databases import new_database
from positions_mcp.cli.assembly.anchor import AnchoredStore
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.store.operations import SqlOperationStore
from store.steps import NOW, approved, begin, claimed, finished, plan_of

pytestmark = pytest.mark.requirement("G-04", "G-11")
OTHER = Halt(reason="news", by="Ana", at=NOW)


@pytest.fixture
def url(postgres_url: str) -> str:
    return new_database(postgres_url)


@contextmanager
def opened(url: str, folder: Path) -> Iterator[AnchoredStore]:
    """The store as a server has it."""
    store = AnchoredStore(lambda: SqlOperationStore(url), lambda: folder)
    try:
        yield store
    finally:
        store.close()


def standby(url: str) -> str:
    """A database that is as this one is now, and receives nothing any more. Whoever is connected connects anew."""
    server, _, name = url.partition("?")[0].rpartition("/")
    copy = f"{name}_standby"
    with as_its_keeper(url) as connection:
        connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
    return url.replace(f"{server}/{name}?", f"{server}/{copy}?")


def fail_over(url: str, behind: str) -> None:
    """Who connects anew gets the standby."""
    name, its = (each.partition("?")[0].rpartition("/")[2] for each in (url, behind))
    with as_its_keeper(url) as connection:
        connection.execute(f"ALTER DATABASE {name} RENAME TO {name}_lost")
        connection.execute(f"ALTER DATABASE {its} RENAME TO {name}")


@contextmanager
def as_its_keeper(url: str) -> Iterator[psycopg.Connection]:
    """Beside the database, in which no session is left."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        ends = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(ends, [name]).fetchall()
        yield connection


def send(store: AnchoredStore, operation: Operation) -> None:
    begin(store, operation, 0)  # type: ignore[arg-type]  # by its methods it is one


def another_halts(store: AnchoredStore, _: Operation) -> None:
    """Another server halts, and this one looks for changes."""
    store.open().set_halt(OTHER)
    store.newest()


@pytest.mark.parametrize("lost", [send, another_halts])
def test_a_standby_that_lost_what_was_written_halts_when_a_server_starts(
    url: str, tmp_path: Path, lost: Callable[[AnchoredStore, Operation], None]
) -> None:
    with opened(url, tmp_path) as store:
        operation = claimed(store.open())
        store.newest()
    behind = standby(url)
    with opened(url, tmp_path) as store:
        lost(store, operation)
    with opened(behind, tmp_path) as store:
        assert store.open().verify().intact, "by itself nothing is wrong with it"
        (halt,) = store.open().halts()
        assert halt.is_of_everything
        assert "lacks 1 entries" in halt.reason
        assert "Compare each account's orders at the broker" in halt.reason
        store.open().clear_halts("Ana", NOW, expected=[halt])
    with opened(behind, tmp_path) as store:
        assert store.open().halts() == (), "a person has looked, and it is not said again"
    assert list(tmp_path.glob("*.lost"))


def nothing_else(_: SqlOperationStore) -> None:
    """The standby is as it was."""


def as_much_as_was_lost(store: SqlOperationStore) -> None:
    """Another server has written to the standby before this one looks, until the journal is as long as it was."""
    store.set_halt(OTHER)


def looks(store: AnchoredStore, _: Operation) -> None:
    """It looks for changes, as each server does within a second."""
    store.newest()


@pytest.mark.parametrize("afterwards", [looks, send], ids=["looks", "sends"])
@pytest.mark.parametrize("written_since", [nothing_else, as_much_as_was_lost])
def test_a_server_that_runs_through_a_failover_halts_where_what_it_saw_of_another_one_is_lost(
    url: str,
    tmp_path: Path,
    written_since: Callable[[SqlOperationStore], None],
    afterwards: Callable[[AnchoredStore, Operation], None],
) -> None:
    with opened(url, tmp_path) as store, opened(url, tmp_path / "of another machine") as another:
        sent, mine = (claimed(store.open(), plan_of(f"op-{number}")) for number in range(2))
        store.newest()
        behind = standby(url)
        store.newest()
        send(another, sent)
        store.newest()
        fail_over(url, behind)
        with opened(url, tmp_path / "of a third") as third:
            written_since(third.open())
        with pytest.raises(StoreUnavailable, match="lacks what was seen of it"):
            afterwards(store, mine)
        (*_, halt) = store.halts()
        assert halt.is_of_everything
        assert "lacks 1 entries" in halt.reason
        store.clear_halts("Ana", NOW, expected=store.halts())
        send(store, claimed(store.open(), plan_of("op-next")))
        assert store.halts() == (), "a person has looked, and the server goes on without a new start"


def test_sessions_that_end_halt_nobody_where_nothing_is_lost(url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as store:
        operation = claimed(store.open())
        store.newest()
        fail_over(url, standby(url))
        send(store, operation)
        store.newest()
        assert store.halts() == ()


def test_a_journal_that_lacks_nothing_halts_nobody(url: str, tmp_path: Path) -> None:
    for number in range(3):
        with opened(url, tmp_path) as store:
            send(store, claimed(store.open(), plan_of(f"op-{number}")))
            finished(store.open(), plan_of(f"op-other-{number}"))
            store.newest()
            assert store.open().halts() == ()


def test_a_store_that_is_made_anew_owes_nothing_to_an_older_one(url: str, postgres_url: str, tmp_path: Path) -> None:
    with opened(url, tmp_path) as store:
        send(store, claimed(store.open()))
    with opened(new_database(postgres_url), tmp_path) as store:
        assert store.open().halts() == ()


def test_what_was_noted_stays_little_and_private(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("positions_mcp.cli.assembly.anchor._MOST", 3)
    with opened(url, tmp_path / "seen") as store:
        for number in range(10):
            approved(store.open(), plan_of(f"op-{number}"))
            store.newest()
            last = store.last()
    (file,) = (tmp_path / "seen").glob("journal-*.seen")
    noted = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(noted) <= 6
    assert noted[-1] == list(last), "numbers of entries may have gaps: how many there are is not the last one's"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_nothing_is_sent_where_it_cannot_be_noted(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    with opened(url, folder) as store:
        operation = claimed(store.open())
        folder.write_text("a file where the folder should be")
        with pytest.raises(StoreUnavailable, match=r"cannot be kept"):
            send(store, operation)


@pytest.mark.parametrize(
    ("line", "says"), [('[12, "never fini', ""), ("nonsense\n", "is damaged"), ("[12]\n", "is damaged")]
)
def test_a_line_that_was_not_finished_was_not_sent_after_and_another_one_is_damage(
    url: str, tmp_path: Path, line: str, says: str
) -> None:
    with opened(url, tmp_path) as store:
        send(store, claimed(store.open()))
    (file,) = tmp_path.glob("journal-*.seen")
    with file.open("a") as more:
        more.write(line)
    with opened(url, tmp_path) as store:
        if says:
            with pytest.raises(StoreUnavailable, match=says):
                store.open()
        else:
            assert store.open().halts() == ()
            finished(store.open(), plan_of("op-next"))
            store.newest()
    with opened(url, tmp_path) as store:
        if not says:
            assert store.open().halts() == ()
