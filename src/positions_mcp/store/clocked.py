"""The part of the operation store about whose clock counts."""

from __future__ import annotations

from datetime import timedelta

from positions_mcp.store.engine import Database


class Clocked:
    """Over the database of the whole store. Machines whose clocks differ share one database, and so one clock."""

    _database: Database
    _goes_by_its_clock = False

    @property
    def ahead(self) -> timedelta:
        """How far the database's clock is ahead of this machine's."""
        return self._database.ahead

    def go_by_its_clock(self) -> None:
        """From now on the database's clock decides about leases and expiry, and not that of who asks."""
        self._goes_by_its_clock = True
        self._take(self._database)

    def _take(self, database: Database) -> None:
        """Work on a database that was opened."""
        self._database = database
        if self._goes_by_its_clock:
            database.go_by_its_clock()
