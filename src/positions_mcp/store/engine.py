"""Opening a database: a private SQLite file that survives a power cut, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from positions_mcp.domain.errors import PositionsError, StoreUnavailable
from positions_mcp.domain.text import clean
from positions_mcp.platforms import this_platform
from positions_mcp.store.compiled import Compiled

if TYPE_CHECKING:
    from positions_mcp.store.instants import ClockSample
    from positions_mcp.store.postgres import SharedTime

BUSY_TIMEOUT_S = 8
"""How long a write waits for another one."""
_PROBE_TIMEOUT_S = 1
SILENCE_S = 1.0
"""A wait for nothing after which a database is taken to be out of reach."""
LEFT_ALONE_S = 2.0
"""How long nobody waits for one that is. Who writes, as a halt does, tries all the same."""
_WRITING = "positions_mcp_writing"
_BEGIN_FILE = Compiled(text("BEGIN")), Compiled(text("BEGIN IMMEDIATE"))
# A writer waits for the lock and then has to see what the one before it wrote: no snapshot from before.
_BEGIN_SHARED = (
    Compiled(text("BEGIN ISOLATION LEVEL REPEATABLE READ")),
    Compiled(text("BEGIN ISOLATION LEVEL READ COMMITTED")),
)


class Database:
    """A reader and a writer over one database. SQLite writers take the write lock when they begin, not later."""

    def __init__(self, engine: Engine, *, place: str, read_only: str = "", time: SharedTime | None = None) -> None:
        self.place = place
        self.read_only = read_only
        """Why it can only be read; empty where it can be written."""
        self._engine = engine
        self._time = time
        self._silent_until = 0.0
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = engine.execution_options(**{_WRITING: True})
        to_read, to_write = _BEGIN_FILE if self.is_sqlite else _BEGIN_SHARED

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            is_writer = connection.get_execution_options().get(_WRITING, False)
            (to_write if is_writer else to_read).run(connection)

    @contextmanager
    def reading(self, *, at_once: bool = True) -> Iterator[Connection]:
        """One consistent view. Raises StoreUnavailable: at once, where a database has only just not answered.

        A call reads several times: it waits once. One `Compiled` statement is a view by itself, and needs no
        transaction around it: it is asked without `at_once`.
        """
        if monotonic() < self._silent_until:
            raise StoreUnavailable(
                f"The operation store {self.place} cannot be read: it did not answer a moment ago.",
                hint="Try again in a few seconds.",
            )
        # What goes past SQLAlchemy would begin none; and psycopg forgets what it has prepared where one is rolled back.
        begun = self._engine.begin if at_once else self._engine.connect
        with self._noting_silence(), self._speaking("read"), begun() as connection:
            yield connection

    @contextmanager
    def writing(self, *, reads_time: bool = True) -> Iterator[Connection]:
        """One transaction, committed at the end and durable then, or rolled back whole. Raises StoreUnavailable.

        Who asks for the time, and for durability, within it says so: `reads_time` False, and `note_time` then.
        """
        if self.read_only:
            raise StoreUnavailable(
                f"The operation store cannot be written: {self.read_only}.", hint="Nothing was recorded."
            )
        with self._noting_silence(), self._speaking("written"), self._writer.begin() as connection:
            if self._time is not None and reads_time:
                self._time.read(connection)
            yield connection

    def note_time(self, connection: Connection, told: ClockSample | None) -> None:
        """Take the time that was read within a transaction."""
        if self._time is not None and told is not None:
            self._time.note(connection, told)

    def _speaking(self, what: str) -> AbstractContextManager[None]:
        return speaking_of(self.place, what, self._driver_error)

    @contextmanager
    def _noting_silence(self) -> Iterator[None]:
        """Note where a database does not answer at all: who waits for a lock in it is answered."""
        began = monotonic()
        try:
            yield
            self._silent_until = 0.0
        except StoreUnavailable as error:
            cause = getattr(error.__cause__, "orig", error.__cause__)
            is_of_driver = isinstance(cause, self._driver_error) and not self.is_sqlite
            if is_of_driver and getattr(cause, "sqlstate", None) is None and monotonic() >= began + SILENCE_S:
                self._silent_until = monotonic() + LEFT_ALONE_S
            raise

    def go_by_its_clock(self) -> None:
        """Let `instant` tell the database's time; nothing for a file, which is on this machine."""
        if self._time is not None:
            self._time.decides = True

    def take_time(self, connection: Connection) -> None:
        """Let the rest of a transaction take as long as it takes: copying a large store does."""
        if not self.is_sqlite:
            from positions_mcp.store.postgres import take_time

            take_time(connection)

    @property
    def ahead(self) -> timedelta:
        """How far its clock is ahead of this machine's; nothing for a file, which is on this machine."""
        return self._time.ahead if self._time is not None else timedelta(0)

    @property
    def sessions(self) -> int:
        """How many have begun; none with a file, which is the same one always."""
        return self._time.sessions if self._time is not None else 0

    def close(self) -> None:
        self._engine.dispose()


class Clocked:
    """Over the database of the whole store. Machines whose clocks differ share one database, and so one clock."""

    _database: Database
    _goes_by_its_clock = False

    @property
    def ahead(self) -> timedelta:
        """How far the database's clock is ahead of this machine's."""
        return self._database.ahead

    def go_by_its_clock(self) -> None:
        """From now on the database's clock decides about leases and expiry, and not that of who asks."""
        self._goes_by_its_clock = True
        self._take(self._database)

    def _take(self, database: Database) -> None:
        """Work on a database that was opened."""
        self._database = database
        if self._goes_by_its_clock:
            database.go_by_its_clock()


@contextmanager
def speaking_of(place: str, what: str, driver_error: type[Exception] = sqlite3.Error) -> Iterator[None]:
    """Turn what goes wrong with a database, and with what stands in it, into StoreUnavailable."""
    try:
        yield
    except PositionsError:
        raise
    except (DBAPIError, PoolTimeout, driver_error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreUnavailable(
            f"The operation store {clean(place, 120)} cannot be {what}: {clean(str(cause), 160)}.",
            hint="Reading may still work. Free space or restore access, then try again.",
        ) from error
    except Exception as error:  # what stands in a damaged store can be anything, and so can what comes of reading it
        raise StoreUnavailable(
            f"The operation store {clean(place, 120)} cannot be {what}: it is damaged ({type(error).__name__}: "
            f"{clean(str(error), 120)}).",
            hint="What is damaged is not used until a person has looked. Run: `positions-mcp operations verify`.",
        ) from error


def open_database(place: Path | str) -> Database:
    """Open a SQLite file or a PostgreSQL URL. Raises StoreUnavailable where neither reading nor writing is possible."""
    if isinstance(place, Path) or "://" not in place:
        return _open_file(Path(place))
    try:
        url = make_url(place)
    except ArgumentError as error:
        raise StoreUnavailable("The store's URL cannot be read.", hint="Use postgresql://user@host/name.") from error
    if url.drivername == "sqlite" and url.database:
        return _open_file(Path(url.database))
    if url.get_backend_name() != "postgresql":
        raise StoreUnavailable(f"{url.drivername} is not supported.", hint="Use a file or a PostgreSQL URL.")
    # A password may also stand in the query, as may files and services with one: none of it is shown.
    shown = url.set(query={}).render_as_string(hide_password=True)
    with speaking_of(shown, "opened"):
        try:
            from positions_mcp.store import postgres
        except ImportError as error:
            hint = "Install positions-mcp[postgres] instead of positions-mcp."
            raise StoreUnavailable(f"PostgreSQL needs the extra `postgres`: {error}.", hint=hint) from error
        engine, time = postgres.engine_of(url, wait_s=BUSY_TIMEOUT_S)
    return Database(engine, place=shown, time=time)


def _open_file(path: Path) -> Database:
    with speaking_of(str(path), "opened"):
        _make_private(path)
        if why := _why_not_writable(path):
            return Database(_sqlite_engine(_reader_of(path)), place=str(path), read_only=why)
        return Database(_sqlite_engine(lambda: _connect(f"{path.absolute().as_uri()}?mode=rw")), place=str(path))


def _make_private(path: Path) -> None:
    """A file of our own that nobody else reads. Raises OSError for a link, which could lead to another's."""
    if path.is_symlink():
        raise OSError("it is a symbolic link")
    if not path.exists():
        this_platform().make_folder(path.parent)
        with suppress(FileExistsError):  # another process made it in this moment
            this_platform().make_file(path)
    for each in (path, *(path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm"))):
        # One that is somebody else's, or on a medium that cannot be written, is read as it is.
        with suppress(OSError):
            this_platform().close(each)


def _connect(uri: str, timeout: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        for pragma in ("PRAGMA synchronous=FULL", *this_platform().sqlite_pragmas, "PRAGMA foreign_keys=ON"):
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _why_not_writable(path: Path) -> str:
    """Why it can only be read; empty where it can be written, also where another writes at this moment."""
    try:
        probe = _connect(f"{path.absolute().as_uri()}?mode=rw", _PROBE_TIMEOUT_S)
        try:
            probe.execute("PRAGMA journal_mode=WAL").fetchone()
            probe.execute("BEGIN IMMEDIATE")
            probe.execute("PRAGMA user_version=0")
            probe.execute("ROLLBACK")
        finally:
            probe.close()
    except sqlite3.OperationalError as error:
        primary = error.sqlite_errorcode & 0xFF
        return "" if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else clean(str(error), 120)
    return ""


def _reader_of(path: Path) -> Callable[[], sqlite3.Connection]:
    """A file that cannot be written is read as it is; without a log beside it, as one that nobody changes."""
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return lambda: _connect(f"{path.absolute().as_uri()}?{mode}")


def _sqlite_engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    from sqlalchemy.pool import QueuePool

    return create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool)
