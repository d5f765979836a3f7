"""Durable operations in SQLite by default, or in PostgreSQL by URL, through one code.

The database library is imported when a store is opened, so that importing this package costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from positions_mcp.store.operations import SqlOperationStore

DEFAULT_FILE = "operations.sqlite"


def open_store(place: Path | str) -> SqlOperationStore:
    """Open the store at `place`: a file (made with mode 0600 where there is none) or a PostgreSQL URL.

    An older schema is migrated after a backup. A newer one, or a file that cannot be written, is opened for reading:
    `status()` says why. Blocking: call it in a worker thread. Raises StoreUnavailable.
    """
    from positions_mcp.store.operations import SqlOperationStore

    return SqlOperationStore(place)
