"""Whether a store can be traded on now, found out without opening it for that: nothing is made, migrated or written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.servers import Server
from positions_mcp.store import keeping, servers
from positions_mcp.store.engine import Database, open_database
from positions_mcp.store.migrations import MIGRATIONS

NEWEST = 1 + len(MIGRATIONS)

_WRITABLE = text(
    "SELECT current_setting('transaction_read_only') = 'off' AND has_table_privilege('journal', 'INSERT')"
    " AND has_table_privilege('operations', 'UPDATE')"
)
_REPLICATED = text("SELECT count(*) FROM pg_stat_replication WHERE application_name <> 'pg_basebackup'")


@dataclass(frozen=True, slots=True)
class Fitness:
    """What was found. `why_not` is empty where it can be traded on; it names no place and nobody."""

    why_not: str = ""
    servers: tuple[Server, ...] = ()


class Inspector:
    """Looks at one store again and again. Blocking."""

    def __init__(self, place: Path | str) -> None:
        self._place = place
        self._database: Database | None = None

    def look(self) -> Fitness:
        if isinstance(self._place, Path) and not self._place.exists():
            return Fitness()  # it is made when it is first needed
        try:
            if self._database is None:
                self._database = open_database(self._place)
            with self._database.reading() as connection:
                return _found(connection, self._database)
        except StoreUnavailable:
            return Fitness("it cannot be reached")

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


def _found(connection: Connection, database: Database) -> Fitness:
    if not inspect(connection).has_table("meta"):
        return Fitness()  # the first server that needs it makes it
    version = int(keeping.get(connection, "schema_version") or 0)
    if version > NEWEST:
        return Fitness(f"its schema is version {version}, and this program knows {NEWEST}")
    if database.read_only:
        return Fitness("it can only be read")
    now = datetime.now(UTC)
    if not database.is_sqlite:
        if connection.scalar(text("SELECT pg_is_in_recovery()")):
            return Fitness("it is a standby, which can only be read")
        if not connection.scalar(_WRITABLE):
            return Fitness("it can only be read")
        synchronous = connection.scalar(text("SELECT current_setting('synchronous_standby_names')"))
        if not synchronous and connection.scalar(_REPLICATED):
            return Fitness("it is replicated, and no standby is synchronous: a failover could lose what was sent")
        now = connection.scalar(text("SELECT clock_timestamp()")) or now
    return Fitness(servers=servers.alive(connection, now) if version == NEWEST else ())
