"""Which servers are alive on the store: outside the journal, because nothing is decided by it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from positions_mcp.domain.operation.servers import Server
from positions_mcp.store.access import Access
from positions_mcp.store.schema import as_text, servers


class StoredServers(Access):
    """The part of the operation store that keeps them."""

    def announce(self, server: Server, now: datetime) -> None:
        over = (servers.c.process == server.process) | (servers.c.until < as_text(now))
        said = {"until": as_text(server.until), "content": server.model_dump_json()}
        with self._writing_beside() as connection:
            connection.execute(delete(servers).where(over))
            connection.execute(insert(servers).values(process=server.process, **said))
        self.anchor(now)

    def servers(self, now: datetime) -> tuple[Server, ...]:
        with self._reading() as connection:
            return alive(connection, now)

    def withdraw(self, process: str) -> None:
        with self._writing_beside() as connection:
            connection.execute(delete(servers).where(servers.c.process == process))


def alive(connection: Connection, now: datetime) -> tuple[Server, ...]:
    """The servers that are alive, the one that will be for longest first."""
    wanted = select(servers.c.content).where(servers.c.until >= as_text(now)).order_by(servers.c.until.desc())
    return tuple(Server.model_validate_json(content) for content in connection.execute(wanted).scalars())
