"""The schema's version, and the way forward from an older one, after a backup."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.platforms import this_platform
from positions_mcp.store import keeping, locks
from positions_mcp.store.engine import Database
from positions_mcp.store.schema import (
    OF_SERVERS,
    TABLES,
    chains,
    desk_offers,
    desk_sessions,
    mandate_shadows,
    mandate_uses,
    mandates,
    servers,
)

Migration = Callable[[Connection], None]
"""Moves the tables one version forward, within the transaction that also notes the version."""


def _find_by_account(connection: Connection) -> None:
    """From 1 to 2: what is unfinished and what was sent is found without reading every operation of the account.

    Servers that are alive say so.

    From version 2 on, records may have fields that version 1 does not know.
    """
    for name, column in (("operations_unfinished", "unfinished"), ("operations_sent", "sent_entry")):
        connection.execute(text(f"CREATE INDEX IF NOT EXISTS {name} ON operations (mode, account_id, {column})"))
    servers.create(connection, checkfirst=True)


def _count_and_delegate(connection: Connection) -> None:
    """From 2 to 3: who asked for an operation, and when it began to count; of earlier operations neither is known.

    Mandates, their uses, and what drafts would have let through. A chain for each account: what the journal says until
    now stays the beginning of the common one. What is newest is found by an index alone.
    """
    for name in ("caller", "counted_at"):
        connection.execute(text(f"ALTER TABLE operations ADD COLUMN {name} TEXT"))
    counted = "ON operations (mode, account_id, counted_at, caller)"
    connection.execute(text(f"CREATE INDEX IF NOT EXISTS operations_counted {counted}"))
    for table in (mandates, mandate_uses, mandate_shadows, desk_sessions, desk_offers):
        table.create(connection, checkfirst=True)
    connection.execute(text("ALTER TABLE journal ADD COLUMN chain TEXT NOT NULL DEFAULT ''"))
    connection.execute(text("CREATE INDEX IF NOT EXISTS journal_by_chain ON journal (chain, sequence)"))
    of_none = "ON journal (event, sequence) WHERE operation_id IS NULL"
    connection.execute(text(f"CREATE INDEX IF NOT EXISTS journal_of_none {of_none}"))
    connection.execute(text("DROP INDEX IF EXISTS operations_by_age"))
    connection.execute(text("CREATE INDEX operations_by_age ON operations (created_at, id)"))
    by_stage = "ON operations (stage, mode, account_id)"
    connection.execute(text(f"CREATE INDEX IF NOT EXISTS operations_by_stage {by_stage}"))
    chains.create(connection, checkfirst=True)
    if connection.dialect.name == "postgresql":
        connection.execute(text("CREATE SEQUENCE IF NOT EXISTS journal_numbers"))
        connection.execute(text("SELECT setval('journal_numbers', max(sequence)) FROM journal HAVING count(*) > 0"))
        OF_SERVERS.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (_find_by_account, _count_and_delegate)
"""From version 1 on: the first leads from 1 to 2. A release that adds fields or values to what is stored adds one.

It may be empty: what counts is that an earlier program refuses such a store as a whole, in one sentence.
"""

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
        version = _migrate(database, migrations)
    return version, newer_than(version, newest)


def newer_than(version: int, known: int) -> str:
    """Why a program that knows schemas up to `known` leaves a store of `version` alone; empty where it need not."""
    if version <= known:
        return ""
    return f"its schema is version {version}, and this program knows {known}: use a newer positions-mcp"


def _version_of(database: Database) -> int:
    with database.reading() as connection:
        if not inspect(connection).has_table("meta"):
            return 0
        noted = keeping.get(connection, keeping.VERSION)
    if noted is None or not noted.isdecimal() or int(noted) == 0:
        raise StoreUnavailable(f"{database.place} is not an operation store.", hint="It has no schema version.")
    return int(noted)


def _create(database: Database, version: int) -> None:
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
        if inspect(connection).has_table("meta"):
            return
        TABLES.create_all(connection)
        if not database.is_sqlite:
            OF_SERVERS.create_all(connection)
        keeping.put(connection, keeping.VERSION, str(version))


def _migrate(database: Database, migrations: Sequence[Migration]) -> int:
    """Back up and migrate under one lock: a process that had to wait for it finds nothing left to do."""
    with database.writing() as connection:
        locks.lock_all(connection)
        version = int(keeping.get(connection, keeping.VERSION) or 0)
        if not 1 <= version <= len(migrations):
            return version
        database.take_time(connection)
        _back_up(database, connection, version)
        for migration in migrations[version - 1 :]:
            migration(connection)
            version += 1
        keeping.put(connection, keeping.VERSION, str(version))
    return version


def _back_up(database: Database, connection: Connection, version: int) -> None:
    """Keep the store as it was: a file beside a SQLite one, a schema of copied tables in PostgreSQL.

    An earlier backup of the same version, as of a store that was put back, is never overwritten.
    """
    if database.is_sqlite:
        _copy_file(database, Path(f"{database.place}.v{version}.backup"))
        return
    there = inspect(connection).get_schema_names()
    name = next(name for name in _names(f"positions_mcp_v{version}", "_") if name not in there)
    connection.execute(text(f"CREATE SCHEMA {name}"))
    for table in set(TABLES.tables) & set(inspect(connection).get_table_names()):
        connection.execute(text(f"CREATE TABLE {name}.{table} AS TABLE {table}"))


def _names(first: str, separator: str) -> Iterator[str]:
    """`first`, then `first` with a 2 behind it, and so on."""
    yield first
    yield from (f"{first}{separator}{number}" for number in itertools.count(2))


def _copy_file(database: Database, copy: Path) -> None:
    import sqlite3

    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        unfinished.unlink(missing_ok=True)
        this_platform().make_file(unfinished)
        with closing(sqlite3.connect(database.place)) as source, closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
        # Nobody else migrates meanwhile, so a name that is free stays free.
        unfinished.replace(next(path for path in map(copy.with_name, _names(copy.name, ".")) if not path.exists()))
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"The store could not be backed up before its migration: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
