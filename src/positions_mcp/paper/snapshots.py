"""Snapshots: a whole paper book (positions, orders, clock, armed faults) kept under a name, and put back."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from positions_mcp.paper import database
from positions_mcp.paper.clock import ClockSetting
from positions_mcp.paper.errors import BookError
from positions_mcp.platforms import this_platform
from positions_mcp.ports import Clock

_FOLDER = "snapshots"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SHOWN = "snapshot_shown"
"""What the clock showed when a snapshot was taken: a running clock goes on from there."""


def names(data_dir: Path) -> list[str]:
    return sorted(path.stem for path in (data_dir / _FOLDER).glob("*.sqlite"))


def take(data_dir: Path, name: str, clock: Clock) -> Path:
    """Keeps the book as it is now under a name, replacing what was kept there.

    Raises BookError where the name is none, or the book cannot be read or the snapshot not written.
    """
    path = _path(data_dir, name)
    try:
        this_platform().make_folder(path.parent)
        with closing(database.connect(data_dir)) as book, closing(sqlite3.connect(path, isolation_level=None)) as copy:
            this_platform().close(path)
            book.backup(copy)
            setting = ClockSetting.from_text(database.state(copy, "clock"))
            database.set_state(copy, _SHOWN, setting.reading(clock.now()).isoformat())
            copy.execute("PRAGMA journal_mode = DELETE")
    except (OSError, sqlite3.Error) as error:
        raise BookError(f"the snapshot {name!r} cannot be written: {error}") from error
    return path


def restore(data_dir: Path, name: str, clock: Clock) -> None:
    """Makes the book what it was when the snapshot was taken; running servers see it at once.

    A clock that stood stands there again, one that ran goes on from what it showed then, real time stays real time.
    Raises BookError where there is no such snapshot, a later program wrote it, or it cannot be read.
    """
    path = _path(data_dir, name)
    if not path.is_file():
        known = ", ".join(names(data_dir)) or "none"
        raise BookError(f"no snapshot {name!r}; there are: {known}. `positions-mcp paper snapshot NAME` takes one")
    try:
        with closing(database.connect(data_dir)) as book:
            book.execute("ATTACH DATABASE ? AS kept", (str(path),))
            (found,) = book.execute("PRAGMA kept.user_version").fetchone()
            if not 0 < found <= database.FORMAT:
                raise BookError(f"the snapshot {name!r} has format {found}, this program knows {database.FORMAT}")
            with database.transaction(book):
                _replace(book)
                _set_clock(book, clock)
    except sqlite3.Error as error:
        raise BookError(f"the snapshot {name!r} cannot be restored: {error}") from error


def _replace(book: sqlite3.Connection) -> None:
    revision = int(database.state(book, "revision") or 0) + 1
    kept = {name for (name,) in book.execute("SELECT name FROM kept.sqlite_master WHERE type = 'table'")}
    for (table,) in book.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        if table.startswith("sqlite_"):
            continue
        book.execute(f'DELETE FROM main."{table}"')  # noqa: S608  # a table's name
        if table in kept:
            book.execute(f'INSERT INTO main."{table}" SELECT * FROM kept."{table}"')  # noqa: S608  # a table's name
    database.set_state(book, "revision", str(revision))


def _set_clock(book: sqlite3.Connection, clock: Clock) -> None:
    setting, shown = ClockSetting.from_text(database.state(book, "clock")), database.state(book, _SHOWN)
    if setting.mode == "running" and shown is not None:
        ahead = datetime.fromisoformat(shown) - clock.now()
        database.set_state(book, "clock", ClockSetting("running", None, ahead).as_text())


def _path(data_dir: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise BookError(f"{name!r} is no name for a snapshot: letters, digits, dots, dashes, at most 64")
    return data_dir / _FOLDER / f"{name}.sqlite"
