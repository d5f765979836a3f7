"""The SQLite file of a paper book: how it is opened, and how values are written in it, as JSON in their fields' form.

Write-ahead logging lets one process write while others read; every change happens in one `BEGIN IMMEDIATE` transaction,
so a process killed at any moment leaves the book as its last commit had it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from positions_mcp.paper.errors import BookError
from positions_mcp.platforms import this_platform

_MICROSECOND = timedelta(microseconds=1)
Microseconds = Annotated[
    timedelta,
    BeforeValidator(lambda kept: int(kept) * _MICROSECOND),
    PlainSerializer(lambda span: span // _MICROSECOND),
]
"""A length of time, written as a whole number."""

Value = TypeVar("Value")
Fields = dict[str, Any]


class Records(Generic[Value]):
    """Writes values of one kind, and reads them. What has its default is left out; so are `keys`, which stand beside.

    `earlier` puts the fields that an earlier release wrote, with their keys, into today's form.
    """

    def __init__(self, kind: type[Value], *keys: str, earlier: Callable[[Fields], Fields] = Fields) -> None:
        self._kind = kind
        self._keys = keys
        self._earlier = earlier

    @cached_property
    def _adapter(self) -> TypeAdapter[Value]:
        return TypeAdapter(self._kind)

    def text(self, value: Value) -> str:
        return self._adapter.dump_json(value, exclude_defaults=True, exclude=set(self._keys)).decode()

    def row(self, value: Value) -> tuple[Any, ...]:
        """A value as a row: its keys, and the rest as text."""
        return (*(getattr(value, key) for key in self._keys), self.text(value))

    def value(self, *row: Any) -> Value:
        """The inverse of `row`, and, of a value without keys, of `text`."""
        *keys, text = row
        return self._adapter.validate_python(self._earlier(json.loads(text) | dict(zip(self._keys, keys, strict=True))))


FILE_NAME = "paper.sqlite"
FORMAT = 3
"""Version of the tables below. A file of a later version is refused, not guessed at."""

_BUSY_MS = 15_000
_AGAIN_MS = 10
_TABLES = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS instrument (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holding (
    account INTEGER NOT NULL, symbol TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (key TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS instruction (key TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS effect (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS movement (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fault (key INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


def connect(data_dir: Path) -> sqlite3.Connection:
    """A connection to the book in `data_dir`, created with its tables if it is not there (0600 in a 0700 directory).

    It may be used from several threads, one at a time, and is in autocommit mode outside `transaction`. Raises
    BookError where the file is no paper book, was written by a later version, or cannot be opened.
    """
    path = data_dir / FILE_NAME
    if path.is_symlink():
        raise BookError(f"the paper book {path} is a symbolic link, which is not followed")
    try:
        this_platform().make_folder(data_dir)
        with ExitStack() as failing:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            failing.callback(connection.close)
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            with transaction(connection):
                this_platform().close(path)
                _prepare(connection, path)
            _write_ahead(connection)
            for pragma in ("PRAGMA synchronous = NORMAL", *this_platform().sqlite_pragmas):
                connection.execute(pragma)
            failing.pop_all()
            return connection
    except (OSError, sqlite3.Error) as error:
        raise BookError(f"the paper book {path} cannot be opened: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: committed at the end, undone if anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk shows itself in the COMMIT, and SQLite may have rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def identity(connection: sqlite3.Connection) -> str:
    """What tells this file from every other one. It is no part of a book: to begin again and to restore leave it."""
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    return f"{number:08x}"


def state(connection: sqlite3.Connection, key: str) -> str | None:
    """One value of the book's own state, such as the revision."""
    row = connection.execute("SELECT body FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_state(connection: sqlite3.Connection, key: str, body: str) -> None:
    connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, body))


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has committed to the file."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turns write-ahead logging on. SQLite does not wait here for others who open the same new file, so this does."""
    for left in reversed(range(_BUSY_MS // _AGAIN_MS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_AGAIN_MS / 1000)
        else:
            return


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if not connection.execute("PRAGMA application_id").fetchone()[0]:
        connection.execute(f"PRAGMA application_id = {secrets.randbelow(2**31 - 1) + 1}")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise BookError(
            f"the paper book {path} has format {found}, this program knows {FORMAT}: "
            "use the newer program, or another --data-dir"
        )
    if found < FORMAT:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
