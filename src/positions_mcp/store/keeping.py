"""The few single values of a store, by name: schema version, journal head, halt, approver."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from positions_mcp.store.schema import meta

JOURNAL_HEAD, VERSION = "journal_head", "schema_version"


def get(connection: Connection, key: str) -> str | None:
    """The value, or None."""
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()


def put(connection: Connection, key: str, value: str | None) -> None:
    """Set the value; None removes it."""
    if value is None:
        connection.execute(delete(meta).where(meta.c.key == key))
    elif not connection.execute(update(meta).where(meta.c.key == key).values(value=value)).rowcount:
        connection.execute(insert(meta).values(key=key, value=value))


def remove_all(connection: Connection, prefix: str) -> None:
    """Remove every value whose name begins so."""
    connection.execute(delete(meta).where(meta.c.key.startswith(prefix, autoescape=True)))


def lock(connection: Connection) -> str | None:
    """Wait until no other transaction holds the schema's version, which it returns. SQLite has the lock since BEGIN."""
    version = select(meta.c.value).where(meta.c.key == VERSION).with_for_update()
    return connection.execute(version).scalar_one_or_none()
