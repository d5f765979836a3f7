"""Stores for tests: a SQLite file, and a database of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from beginnings import begin_store
from positions_mcp.store.operations import SqlOperationStore


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
