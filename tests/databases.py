"""A real PostgreSQL that runs for the whole session, and new databases in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.databases import new_database, postgresql

__all__ = ["new_database", "postgres_url"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own. Forty databases would be flushed at its end if it were durable."""
    with postgresql(durable=False) as url:
        yield url
