"""The few single values of a store, by name: schema version, journal head, halt, approver."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text

from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.schema import meta

JOURNAL_HEAD, VERSION = "journal_head", "schema_version"
FAILURES = "failures:"
"""Before the name of an account's chain: how many rejected or unknown outcomes it had in a row."""
_GET = Compiled(select(meta.c.value).where(meta.c.key == given("key")))
_REMOVE = Compiled(delete(meta).where(meta.c.key == given("key")))
_PUT = Compiled(
    text("INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
)


def get(connection: Connection, key: str) -> str | None:
    found = _GET.first(connection, key=key)
    return None if found is None else str(found[0])


def put(connection: Connection, key: str, value: str | None) -> None:
    """Set the value; None removes it."""
    if value is None:
        _REMOVE.run(connection, key=key)
    else:
        _PUT.run(connection, key=key, value=value)


def remove_all(connection: Connection, prefix: str) -> None:
    connection.execute(delete(meta).where(meta.c.key.startswith(prefix, autoescape=True)))


def lock(connection: Connection) -> str | None:
    """Wait until no other transaction holds the schema's version, which it returns. SQLite has the lock since BEGIN."""
    version = select(meta.c.value).where(meta.c.key == VERSION).with_for_update()
    return connection.execute(version).scalar_one_or_none()
