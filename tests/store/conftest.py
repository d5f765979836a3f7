"""Stores for tests: a SQLite file, and a database of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from beginnings import begin_store
from databases import new_database
from positions_mcp.store.operations import SqlOperationStore


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty store can be opened, in both databases."""
    if request.param == "sqlite":
        return tmp_path / "data" / "operations.sqlite"
    return new_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def opened(place: Path | str) -> Iterator[Callable[[], SqlOperationStore]]:
    """Opens the store, as often as asked, and closes what it opened."""
    stores: list[SqlOperationStore] = []

    def open_it() -> SqlOperationStore:
        if isinstance(place, Path):
            begin_store(place)
        stores.append(SqlOperationStore(place))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], SqlOperationStore]) -> SqlOperationStore:
    return opened()
