"""What a server has seen of its store's journal, kept outside of the database.

A standby that takes over may not have received the last entries: its journal is whole, and knows nothing of what was
sent meanwhile. What a server has written before it sent, and what it has seen, is noted in a file of its own. Where the
journal lacks any of it when a server starts, or has a new session with the database, everything is halted, and a
person looks.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from positions_mcp.cli.assembly.lazy_store import LazyStore
from positions_mcp.cli.files import write_whole
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.platforms import this_platform
from positions_mcp.store.operations import SqlOperationStore

_MOST = 200
"""Entries kept in a file; twice as many before it is written anew."""
_PROGRAM = "positions-mcp"

_log = logging.getLogger(__name__)


class Anchor:
    """The files of one store in a folder: this machine's, which is written, and those of others that are there."""

    def __init__(self, folder: Path, store: str) -> None:
        self._folder = folder
        self._store = store
        self._own = folder / f"journal-{store}-{_machine()}.seen"
        self._count: int | None = None

    def note(self, sequence: int, digest: str) -> None:
        """Keep an entry, durably. Raises StoreUnavailable."""
        try:
            this_platform().make_folder(self._folder)
            with this_platform().locked(self._own.with_suffix(".lock")):
                if self._count is None or self._count >= 2 * _MOST or not self._own.exists():
                    self._begin_again(list(self._read(self._own))[-_MOST:])
                with self._own.open("a", encoding="utf-8") as file:
                    file.write(_line(sequence, digest))
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"What was seen of the journal cannot be kept in {self._own}: {error.strerror}.",
                hint="Free space or restore access; store.anchor_dir names another folder.",
            ) from error
        self._count = (self._count or 0) + 1

    def noted(self) -> dict[int, str]:
        """Every entry that any server has noted here. Raises StoreUnavailable."""
        try:
            files = sorted(self._folder.glob(f"journal-{self._store}-*.seen"))
            return dict(entry for file in files for entry in self._read(file))
        except OSError as error:
            raise StoreUnavailable(f"What was seen of the journal cannot be read: {error}.") from error

    def set_aside(self) -> None:
        """Keep what was noted for a person to look at, and note anew. Raises OSError."""
        self._count = None
        for file in self._folder.glob(f"journal-{self._store}-*.seen"):
            file.replace(file.with_suffix(".lost"))

    def _begin_again(self, entries: list[tuple[int, str]]) -> None:
        write_whole(self._own, "".join(_line(*entry) for entry in entries).encode())
        self._count = len(entries)

    def _read(self, file: Path) -> Iterator[tuple[int, str]]:
        """What stands in a file. A line that was not finished was not kept: nothing was sent after it."""
        if not file.exists():
            return
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                try:
                    sequence, digest = json.loads(line)
                    yield int(sequence), str(digest)
                except (ValueError, TypeError) as error:
                    raise StoreUnavailable(
                        f"{file} is damaged, so nobody can say whether the store has lost anything.",
                        hint="Compare the accounts' orders at the broker with the record, then delete that file.",
                    ) from error


class AnchoredStore(LazyStore):
    """A store whose journal is compared with what was seen of it.

    That is when it is opened, and when its database may be another one: a session has begun, or the journal is shorter.
    """

    def __init__(self, opening: Callable[[], SqlOperationStore], folder: Callable[[], Path]) -> None:
        super().__init__(lambda: self._compared(opening()))
        self._folder = folder
        self._noting = threading.Lock()
        self._left: SqlOperationStore | None = None
        """What was opened before the journal lost some of it."""
        self._anchor: Anchor | None = None
        self._sessions = 0
        self._newest = 0

    def begin(self, operation_id: str, *said: Any, **named: Any) -> Operation:
        """As the store's; the entry is noted before anything leaves."""
        store = self.open()
        operation = store.begin(operation_id, *said, **named)
        self._note(store, store.walked_to(operation_id))
        return operation

    def begin_withdrawal(self, operation_id: str, *said: Any) -> None:
        store = self.open()
        store.begin_withdrawal(operation_id, *said)
        self._note(store, store.walked_to(operation_id))

    def newest(self) -> int:
        """As the store's; what others have written is noted as well."""
        store, known = self.open(), self._newest
        newest = store.newest()
        if newest != known or store.sessions != self._sessions:
            self._note(store, store.last(), is_shorter=newest < known)
            self._newest = newest
        return newest

    def _note(self, store: SqlOperationStore, entry: tuple[int, str] | None, *, is_shorter: bool = False) -> None:
        """Keep an entry of a journal that lacks nothing. Raises StoreUnavailable."""
        with self._noting:
            sessions = store.sessions
            if store is not self._left and (is_shorter or sessions != self._sessions):
                if self._anchor is not None and store.missing(self._anchor.noted().items()):
                    self._leave(store)
                else:
                    self._sessions = sessions
            if store is self._left:
                raise StoreUnavailable(
                    "The database is another one than before, and its journal lacks what was seen of it.",
                    hint="Everything is halted until a person has compared the accounts' orders with the record.",
                )
            if self._anchor is not None and entry is not None:
                self._anchor.note(*entry)

    def _leave(self, store: SqlOperationStore) -> None:
        """Forget all that was walked of a journal that has lost some of it, and open it as a server that starts."""
        self._left = store
        self.close()
        self.open()

    def _compared(self, store: SqlOperationStore) -> SqlOperationStore:
        """Halt everything where the journal lacks what was seen of it. Raises StoreUnavailable where that fails."""
        sessions = store.sessions
        try:
            anchor = Anchor(self._folder(), store.name())
            if missing := store.missing(anchor.noted().items()):
                reason = _reason(missing)
                store.set_halt(Halt(reason=reason, by=_PROGRAM, at=SystemClock().now()))
                anchor.set_aside()
                _log.error("HALTED: %s", reason)
        except OSError as error:
            store.close()
            raise StoreUnavailable(f"What was seen of the journal cannot be set aside: {error}.") from error
        except BaseException:
            store.close()
            raise
        self._anchor, self._sessions, self._newest = anchor, sessions, 0
        return store


def _reason(missing: tuple[int, ...]) -> str:
    return (
        f"The store's journal lacks {len(missing)} entries that its servers have seen, from number {missing[0]} on, as "
        "after a failover to a standby that had not received them, or a backup that was put back: what was sent since "
        "then may be unknown to it. Compare each account's orders at the broker with the record before you resume."
    )


def _line(sequence: int, digest: str) -> str:
    return f"{json.dumps([sequence, digest])}\n"


def _machine() -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:60] or "machine"
