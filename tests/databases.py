"""A real PostgreSQL that runs for the whole session, new databases in it, and files that somebody left open."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks.databases import new_database, postgresql

__all__ = ["left_open", "new_database", "place", "postgres_url"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own. Forty databases would be flushed at its end if it were durable."""
    with postgresql(durable=False) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty store can be opened, in both databases."""
    if request.param == "sqlite":
        return tmp_path / "data" / "operations.sqlite"
    return new_database(request.getfixturevalue("postgres_url"))


def left_open(place: Path) -> int:
    """How many connections to a SQLite file nobody has closed."""
    count = 0
    for each in gc.get_objects():
        if isinstance(each, sqlite3.Connection):
            with suppress(sqlite3.ProgrammingError):  # it is closed
                count += any(Path(file) == place for _, _, file in each.execute("PRAGMA database_list"))
    return count
