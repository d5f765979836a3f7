"""Opening a store: private files, older and newer schemas, a full disk, a file that may not be written."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from databases import left_open
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import Server
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports.beside import StoredListing, StoredSession
from positions_mcp.store import open_store
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore
from store.steps import NOW, approved, finished, plan_of, planned

THIS, NEXT = 1 + len(MIGRATIONS), 2 + len(MIGRATIONS)
"""The schema of this program, and of one that came after."""


def add_a_column(connection: Connection) -> None:
    """A step to the next version, as a later program might take it."""
    connection.execute(text("ALTER TABLE operations ADD COLUMN note TEXT"))


def test_importing_the_store_and_the_guard_loads_no_database_and_no_cryptography() -> None:
    code = (
        "import sys, positions_mcp.store, positions_mcp.guard.guard, positions_mcp.guard.supervisor;"
        "print({'sqlalchemy', 'cryptography', 'httpx', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    place = tmp_path / "data" / "operations.sqlite"
    store = open_store(place)
    planned(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    store.close()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    place = tmp_path / "operations.sqlite"
    for name in ("operations.sqlite", "operations.sqlite-wal"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    store = open_store(place)
    planned(store)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    store.close()


def test_what_is_not_installed_is_not_said_to_be_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("positions_mcp.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "positions_mcp.store.postgres", None)
    with pytest.raises(StoreUnavailable, match=r"PostgreSQL needs the extra `postgres`.*positions-mcp\[postgres\]"):
        open_store("postgresql://me@127.0.0.1:1/db")


@pytest.mark.parametrize("leads_somewhere", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, leads_somewhere: bool) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    if leads_somewhere:
        SqlOperationStore(elsewhere).close()
    (tmp_path / "operations.sqlite").symlink_to(elsewhere)
    with pytest.raises(StoreUnavailable, match="symbolic link"):
        open_store(tmp_path / "operations.sqlite")
    assert elsewhere.exists() == leads_somewhere


@pytest.mark.requirement("G-04")
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_server_that_promises_less_is_told_to_flush_and_to_show_what_was_written_last(place: str) -> None:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'repeatable read'")
    try:
        store, told = SqlOperationStore(place), set()
        for begun in (store._writing(), store._writing("paper:19816"), store._writing_beside(), store._noting()):
            with begun as change:
                connection = change if isinstance(change, Connection) else change.connection
                for name in ("synchronous_commit", "transaction_isolation"):
                    told.add(connection.exec_driver_sql(f"SHOW {name}").scalar_one())
        store.close()
    finally:
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET ALL")
    assert told == {"on", "read committed"}


@pytest.mark.requirement("G-04")
def test_a_file_survives_a_power_cut(tmp_path: Path) -> None:
    store = SqlOperationStore(tmp_path / "operations.sqlite")
    with store._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    store.close()


def test_an_older_schema_is_migrated_after_a_backup(place: Path | str) -> None:
    old = SqlOperationStore(place)
    operation = finished(old)
    old.close()
    new = SqlOperationStore(place, migrations=(*MIGRATIONS, add_a_column))
    assert new.status().schema_version == NEXT
    assert new.operation("op-1") == operation
    assert new.verify().intact
    assert planned(new, plan_of("op-2")).stage is Stage.PLANNED
    if isinstance(place, Path):
        backup = place.with_name(f"operations.sqlite.v{THIS}.backup")
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        kept = SqlOperationStore(backup)
        assert kept.operations() == (operation,)
        kept.close()
    else:
        with new._database.reading() as connection:
            assert connection.execute(text(f"SELECT count(*) FROM positions_mcp_v{THIS}.operations")).scalar_one() == 1
    new.close()


def test_a_failed_migration_leaves_the_store_as_it_was(place: Path | str) -> None:
    old = SqlOperationStore(place)
    operation = planned(old)
    old.close()

    def fail(connection: Connection) -> None:
        add_a_column(connection)
        connection.execute(text("ALTER TABLE nothing ADD COLUMN note TEXT"))

    with pytest.raises(StoreUnavailable):
        SqlOperationStore(place, migrations=(*MIGRATIONS, fail))
    again = SqlOperationStore(place)
    assert again.status().schema_version == THIS
    assert again.operations() == (operation,)
    assert again.status().writable
    again.close()


def test_a_program_older_than_its_store_reads_but_does_not_write(place: Path | str) -> None:
    new = SqlOperationStore(place, migrations=(*MIGRATIONS, add_a_column))
    operation = planned(new)
    new.close()
    old = SqlOperationStore(place)
    assert old.operation("op-1") == operation
    assert not old.status().writable
    assert "newer positions-mcp" in old.status().reason
    with pytest.raises(StoreUnavailable):
        old.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
    old.close()


SESSION = StoredSession("cookie", "token", "Ana", "fingerprint", NOW, NOW, NOW)
SERVER = Server(process="p", mode=Mode.PAPER, accounts=(), sends=True, desk_url=None, until=NOW)
WRITES: dict[str, Callable[[SqlOperationStore], object]] = {
    "a plan": lambda store: planned(store, plan_of("another")),
    "a question": lambda store: store.move(
        "op-1", expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=NOW
    ),
    "a halt": lambda store: store.set_halt(Halt(reason="news", by="Ana", at=NOW)),
    "a server": lambda store: store.announce(SERVER, NOW),
    "what time decides": lambda store: store.expire(NOW + timedelta(days=1)),
    "a listing": lambda store: store.keep_listing(StoredListing("a", "me", "{}", 1, [b"1"]), NOW),
    "who signs in": lambda store: store.open_session(SESSION, most=100),
    "who signs out": lambda store: store.keep_session("cookie", seen_at=NOW, until=NOW),
    "a wrong passphrase": lambda store: store.count_guess("cookie", 1),
}


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_program_whose_store_a_newer_one_migrates_while_it_runs_writes_nothing_more(
    place: Path | str, write: Callable[[SqlOperationStore], object]
) -> None:
    old = SqlOperationStore(place)
    planned(old)
    SqlOperationStore(place, migrations=(*MIGRATIONS, add_a_column)).close()
    before = len(old.journal())
    with pytest.raises(StoreUnavailable, match=f"schema is now version {NEXT}"):
        write(old)
    assert len(old.journal()) == before
    old.close()


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize(
    "later",
    [
        "ALTER TABLE operations RENAME COLUMN reason TO why",
        "ALTER TABLE operation_rows RENAME TO targets",
        "ALTER TABLE journal RENAME COLUMN state_digest TO left_behind",
    ],
)
def test_what_only_a_newer_program_understands_is_said_to_be_newer_and_never_broken(
    place: Path | str, later: str
) -> None:
    new = SqlOperationStore(place, migrations=(*MIGRATIONS, add_a_column))
    planned(new)
    with new._database.writing() as connection:
        connection.execute(text(later))
    new.close()
    old = SqlOperationStore(place)
    with pytest.raises(
        StoreUnavailable, match=f"version {NEXT}, and this program knows {THIS}: use a newer positions-mcp"
    ):
        old.verify()
    with pytest.raises(StoreUnavailable, match="use a newer positions-mcp"):
        old.set_halt(Halt(reason="news", by="Ana", at=NOW))
    for reading in (lambda: old.operation("op-1"), old.journal, old.operations):
        try:
            reading()
        except StoreUnavailable as error:
            assert "use a newer positions-mcp" in error.message  # noqa: PT017 — one of them cannot be read, others can
    old.close()


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("operation_rows", """replace(content, '"detail"', '"filled":"10","detail"')"""),
        ("operation_rows", """replace(content, '"NOT_SENT"', '"PENDING"')"""),
        ("decisions", """replace(content, '"channel":"elicitation"', '"channel":"committee"')"""),
        ("operations", """replace(plan, '"caller"', '"horizon":"a week","caller"')"""),
    ],
)
def test_an_operation_with_a_field_or_value_of_a_later_release_is_not_said_to_be_damaged(
    place: Path | str, table: str, change: str
) -> None:
    store = SqlOperationStore(place)
    approved(store)
    column = "plan" if table == "operations" else "content"
    with store._database.writing() as connection:
        assert connection.execute(text(f"UPDATE {table} SET {column} = {change}")).rowcount
    with pytest.raises(StoreUnavailable, match="written by a newer positions-mcp, or altered"):
        store.operation("op-1")
    store.close()


@pytest.mark.requirement("R-01")
def test_of_several_programs_that_find_an_older_store_one_migrates_it_and_the_backup_stays_old(
    place: Path | str,
) -> None:
    first = SqlOperationStore(place)
    finished(first)
    first.close()
    begun, go_on = threading.Event(), threading.Event()
    ran: list[int] = []

    def slowly(connection: Connection) -> None:
        ran.append(1)
        begun.set()
        assert go_on.wait(5)
        add_a_column(connection)

    def migrate() -> SqlOperationStore:
        return SqlOperationStore(place, migrations=(*MIGRATIONS, slowly))

    with ThreadPoolExecutor(3) as at_once:
        migrating = [at_once.submit(migrate)]
        assert begun.wait(5)
        migrating += [at_once.submit(migrate) for _ in range(2)]  # when the first is in the middle of it
        go_on.set()
        stores = [each.result() for each in migrating]
    assert ran == [1]
    assert [store.status().schema_version for store in stores] == [NEXT, NEXT, NEXT]
    for store in stores:
        store.close()
    if isinstance(place, Path):
        assert [path.name for path in place.parent.glob("*.backup*")] == [f"operations.sqlite.v{THIS}.backup"]
        with closing(sqlite3.connect(place.with_name(f"operations.sqlite.v{THIS}.backup"))) as backup:
            assert backup.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(THIS),)
    else:
        with psycopg.connect(place) as connection:
            kept = connection.execute(f"SELECT value FROM positions_mcp_v{THIS}.meta WHERE key = 'schema_version'")
            assert kept.fetchone() == (str(THIS),)


def test_a_store_that_was_put_back_is_migrated_again_and_its_first_backup_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "operations.sqlite"
    SqlOperationStore(place).close()
    later = (*MIGRATIONS, add_a_column)
    SqlOperationStore(place, migrations=later).close()
    backup = tmp_path / f"operations.sqlite.v{THIS}.backup"
    first = backup.read_bytes()
    place.write_bytes(first)
    SqlOperationStore(place, migrations=later).close()
    assert backup.read_bytes() == first
    assert (tmp_path / f"operations.sqlite.v{THIS}.backup.2").exists()


def test_a_running_program_stops_writing_when_another_migrates_its_store(place: Path | str) -> None:
    running = SqlOperationStore(place)
    operation = planned(running)
    SqlOperationStore(place, migrations=(*MIGRATIONS, add_a_column)).close()
    assert running.operation("op-1") == operation
    with pytest.raises(StoreUnavailable, match=f"version {NEXT}"):
        running.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
    running.close()


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """A full disk, as this process sees it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_reads_work_and_a_refused_write_has_changed_nothing(tmp_path: Path) -> None:
    place = tmp_path / "operations.sqlite"
    store = SqlOperationStore(place)
    operation = planned(store)
    log = place.with_name("operations.sqlite-wal")
    with no_file_may_grow_beyond(log.stat().st_size):
        with pytest.raises(StoreUnavailable):
            store.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
        assert not store.status().writable
        assert store.operation("op-1") == operation
    assert [store.status().writable, store.status().writable] == [True, True]
    assert store.verify().intact
    assert store.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW).stage is Stage.REFUSED
    store.close()


@contextmanager
def as_somebody_without_rights() -> Iterator[None]:
    """Permissions do not bind root, so root becomes nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def test_a_file_that_may_not_be_written_is_read(readable_by_all: Path) -> None:
    place = readable_by_all / "operations.sqlite"
    first = SqlOperationStore(place)
    operation = finished(first)
    first.close()
    place.chmod(0o444)
    readable_by_all.chmod(0o555)
    with as_somebody_without_rights():
        store = SqlOperationStore(place)
        assert store.operation("op-1") == operation
        assert store.verify().intact
        assert not store.status().writable
        with pytest.raises(StoreUnavailable):
            planned(store, plan_of("op-2"))
        store.close()


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    place = tmp_path / "operations.sqlite"
    place.write_text("a letter to somebody")
    with pytest.raises(StoreUnavailable) as refusal:
        SqlOperationStore(place)
    assert refusal.traceback  # which keeps what was opened until here
    assert left_open(place) == 0
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    other.close()
    with pytest.raises(StoreUnavailable, match="not an operation store"):
        SqlOperationStore(tmp_path / "other.sqlite")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root@localhost/x",
        "postgresql://u:secret@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:1/x?password=secret",
        "::",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        open_store(url if "://" in url else f"{url}://")
    assert "secret" not in str(refused.value)


def test_several_programs_can_create_the_store_at_once(place: Path | str) -> None:
    with ThreadPoolExecutor(4) as at_once:
        stores = list(at_once.map(SqlOperationStore, [place] * 4))
    assert {store.status().writable for store in stores} == {True}
    for store in stores:
        store.close()
