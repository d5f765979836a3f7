"""Operations as a transaction has them by now. Each is written once, at its end, however often it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from positions_mcp.store import records
from positions_mcp.store.stored import Stored


class Pending:
    """One for a transaction. Who reads tables that show operations asks it for the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stored: dict[str, Stored] = {}
        self._before: dict[str, Stored | None] = {}
        """Those that are not written yet, as they stand in the tables; None where they do not."""

    @property
    def stored(self) -> Mapping[str, Stored]:
        """The operations that were read or changed, by their ids."""
        return self._stored

    def found(self, stored: Stored) -> None:
        """Keep one at hand, as it stands in the tables."""
        self._stored[stored.operation_id] = stored

    def change(self, stored: Stored) -> None:
        """Keep one as it is from now on."""
        key = stored.operation_id
        self._before.setdefault(key, self._stored.get(key))
        self._stored[key] = stored

    def written(self) -> Connection:
        """The connection, once the tables are as they will be."""
        for key, before in self._before.items():
            records.write(self._connection, before, self._stored[key])
        self._before.clear()
        return self._connection

    def written_where(self, value: Callable[[Stored], object]) -> Connection:
        """The same for a reading that sees of operations this value alone: where none has another now, at once."""
        for key, before in self._before.items():
            if value(self._stored[key]) != (value(before) if before else None):
                return self.written()
        return self._connection
