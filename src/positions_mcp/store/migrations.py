"""The schema's version, and the way forward from an older one, after a backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.store import keeping
from positions_mcp.store.engine import Database
from positions_mcp.store.schema import TABLES

Migration = Callable[[Connection], None]
"""Moves the tables one version forward, within the transaction that also notes the version."""

MIGRATIONS: tuple[Migration, ...] = ()
"""From version 1 on: the first entry leads from 1 to 2."""

_CREATION_LOCK = 7_019_816
"""Serialises the first creation of the tables among PostgreSQL clients."""


def bring_up(database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> tuple[int, str]:
    """Create the tables, or migrate them to the version of this program.

    Returns:
        The version found in the store, and why it can only be read (empty where it can be written).
    """
    newest = 1 + len(migrations)
    if database.read_only:
        return _version_of(database), database.read_only
    version = _version_of(database)
    if version == 0:
        _create(database, newest)
        version = _version_of(database)
    if version < newest:
        _back_up(database, version)
        version = _migrate(database, migrations)
    if version > newest:
        return version, f"its schema is version {version}, and this program knows {newest}: use a newer positions-mcp"
    return version, ""


def _version_of(database: Database) -> int:
    with database.reading() as connection:
        if not inspect(connection).has_table("meta"):
            return 0
        noted = keeping.get(connection, "schema_version")
    if noted is None or not noted.isdecimal():
        raise StoreUnavailable(f"{database.place} is not an operation store.", hint="It has no schema version.")
    return int(noted)


def _create(database: Database, version: int) -> None:
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
        if inspect(connection).has_table("meta"):
            return
        TABLES.create_all(connection)
        keeping.put(connection, "schema_version", str(version))


def _migrate(database: Database, migrations: Sequence[Migration]) -> int:
    with database.writing() as connection:
        version = int(keeping.lock(connection) or 0)
        for migration in migrations[version - 1 :]:
            migration(connection)
            version += 1
        keeping.put(connection, "schema_version", str(version))
    return version


def _back_up(database: Database, version: int) -> None:
    """Keep the store as it was: a file beside a SQLite one, a schema of copied tables in PostgreSQL."""
    if database.is_sqlite:
        _copy_file(database, Path(f"{database.place}.v{version}.backup"))
        return
    name = f"positions_mcp_v{version}"
    with database.writing() as connection:
        keeping.lock(connection)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        for table in TABLES.sorted_tables:
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name}.{table.name} AS TABLE {table.name}"))


def _copy_file(database: Database, copy: Path) -> None:
    import sqlite3

    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    os.close(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(database.place)) as source, closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
        unfinished.replace(copy)
    except sqlite3.Error as error:
        unfinished.unlink(missing_ok=True)
        raise StoreUnavailable(f"The store could not be backed up before its migration: {error}.") from error
