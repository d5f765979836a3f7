"""The operation store that a configuration names, and what it is bound to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from positions_mcp.cli.lazy_store import LazyStore

if TYPE_CHECKING:
    from positions_mcp.settings.model import StoreSettings
    from positions_mcp.store.operations import SqlOperationStore


def open_configured(settings: StoreSettings, data_dir: Callable[[], Path]) -> SqlOperationStore:
    """Open it. Blocking. Raises ConfigurationError or StoreUnavailable where it cannot be opened at all."""
    from positions_mcp.store import DEFAULT_FILE, open_store

    return open_store(settings.url.get_secret_value() if settings.url else data_dir() / DEFAULT_FILE)


def lazy_store(settings: StoreSettings, exchange: Callable[[], str], data_dir: Callable[[], Path]) -> LazyStore:
    """The store, opened when it is first needed, for one paper exchange alone; one in PostgreSQL is anchored here."""

    def opening() -> SqlOperationStore:
        store = open_configured(settings, data_dir)
        try:
            if name := exchange():
                store.bind(name)
        except BaseException:
            store.close()
            raise
        return store

    if settings.url is None:
        return LazyStore(opening)
    from positions_mcp.cli.anchor import AnchoredStore

    return AnchoredStore(opening, lambda: settings.anchor_dir or data_dir())
