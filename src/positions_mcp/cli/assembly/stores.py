"""The operation store that a configuration names, and the folder that it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from positions_mcp.cli.assembly.lazy_store import LazyStore
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.platforms import home_folder, this_platform
from positions_mcp.settings import Settings

if TYPE_CHECKING:
    from positions_mcp.store.operations import SqlOperationStore


def prepare_data_dir(settings: Settings) -> Path:
    """The data directory, made if it is not there, and closed to everybody else.

    Raises ConfigurationError where it cannot be.
    """
    folder = settings.folder
    try:
        this_platform().make_folder(folder)
        if this_platform().is_open(folder.resolve()):
            if folder in (home_folder(), Path(folder.anchor)):
                raise ConfigurationError(f"data_dir = {folder} would be closed to others.", hint="Name a folder in it.")
            this_platform().close(folder.resolve())
    except OSError as error:
        raise ConfigurationError(
            f"data_dir = {folder} cannot be used: {error.strerror}.",
            hint="Set --data-dir or POSITIONS_MCP_DATA_DIR to a directory of your own.",
        ) from None
    return folder


@contextmanager
def open_operations(settings: Settings) -> Iterator[SqlOperationStore]:
    """The store, open within. Blocking. Raises ConfigurationError, StoreUnavailable."""
    with closing(_opened(settings)) as store:
        yield store


def lazy_store(settings: Settings, exchange: Callable[[], str]) -> LazyStore:
    """The store, opened when it is first needed, for one paper exchange alone; one in PostgreSQL is anchored here."""

    def opening() -> SqlOperationStore:
        store = _opened(settings)
        try:
            if name := exchange():
                store.bind(name)
        except BaseException:
            store.close()
            raise
        return store

    if settings.store.url is None:
        return LazyStore(opening)
    from positions_mcp.cli.assembly.anchor import AnchoredStore

    return AnchoredStore(opening, lambda: settings.store.anchor_dir or prepare_data_dir(settings))


def database_of(settings: Settings) -> str | Path:
    """The database of the store: an address, which may hold a password, or a file that may not be there yet."""
    from positions_mcp.store import DEFAULT_FILE

    url = settings.store.url
    return settings.folder / DEFAULT_FILE if url is None else url.get_secret_value()


def _opened(settings: Settings) -> SqlOperationStore:
    from positions_mcp.store import open_store

    if settings.store.url is None:
        prepare_data_dir(settings)
    return open_store(database_of(settings))
