"""Writing what stands beside the journal: nobody's turn is taken, and no chain is walked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from positions_mcp.store import keeping
from positions_mcp.store.access import Access


class Beside(Access):
    """The part of the operation store that others write with."""

    @contextmanager
    def _noting(self) -> Iterator[Connection]:
        """One transaction, on a store of this program's schema: what a newer one has migrated is left alone."""
        self._expect_writable()
        with self._database.writing() as connection:
            self._expect_version(keeping.get(connection, keeping.VERSION))
            yield connection
