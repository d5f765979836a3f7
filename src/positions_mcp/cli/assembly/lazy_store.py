"""The operation store, opened at its first use: a server starts and reads without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from positions_mcp.domain.errors import ConfigurationError, StoreUnavailable
from positions_mcp.domain.operation.supervision import StoreStatus

if TYPE_CHECKING:
    from positions_mcp.ports import Clock
    from positions_mcp.store.operations import SqlOperationStore


class SharedClock:
    """Implements `positions_mcp.ports.Clock`: this machine's time, put right by the clock of the store it shares."""

    def __init__(self, machine: Clock, store: LazyStore | SqlOperationStore) -> None:
        self._machine = machine
        self._store = store
        store.go_by_its_clock()

    def now(self) -> datetime:
        """The present instant as every machine of the store has it, aware, in UTC."""
        return self._machine.now() + self._store.ahead


class LazyStore:
    """Stands for an operation store by its methods. Each call tries again to open one that could not be opened."""

    def __init__(self, opening: Callable[[], SqlOperationStore]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._store: SqlOperationStore | None = None
        self._goes_by_its_clock = False

    def open(self) -> SqlOperationStore:
        """The store itself. Blocking. Raises StoreUnavailable where it cannot be opened."""
        with self._lock:
            if self._store is None:
                try:
                    self._store = self._opening()
                except ConfigurationError as error:
                    raise StoreUnavailable(error.message, hint=error.hint) from error
                if self._goes_by_its_clock:
                    self._store.go_by_its_clock()
            return self._store

    def status(self) -> StoreStatus:
        """Whether it can be written, and why not; also where it cannot be opened at all."""
        try:
            return self.open().status()
        except StoreUnavailable as error:
            return StoreStatus(writable=False, reason=error.message, schema_version=0, place="not opened")

    def close(self) -> None:
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def ahead(self) -> timedelta:
        """How far its clock is ahead of this machine's; nothing before it is opened."""
        store = self._store
        return store.ahead if store is not None else timedelta(0)

    def go_by_its_clock(self) -> None:
        """Let it decide about leases and expiry, once it is open."""
        self._goes_by_its_clock = True

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            # Opened by the call, which is made in a worker thread, and not by naming the method, which is not.
            return getattr(self.open(), name)(*arguments, **named)

        return call
