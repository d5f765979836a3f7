"""Reading and writing a store: whose turn it is, and that the journal holds up to the moment of a change."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from positions_mcp.domain.errors import PositionsError, StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.supervision import StoreStatus
from positions_mcp.store import anchors, keeping, locks, records
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.engine import Clocked, open_database
from positions_mcp.store.journal import COMMON, Head, broken, chain_of
from positions_mcp.store.migrations import MIGRATIONS, Migration, bring_up, newer_than
from positions_mcp.store.schema import operations
from positions_mcp.store.transaction import Transaction
from positions_mcp.store.walk import JournalWalk, heads

T = TypeVar("T")

ANCHORED_EVERY = timedelta(minutes=1)
_TRUSTED_FOR_S = 15.0
"""How long what was written says that it can be written."""
_MOST_CHAINS = 10_000
"""Operations whose accounts are remembered."""
_ACCOUNT_OF = Compiled(select(operations.c.mode, operations.c.account_id).where(operations.c.id == given("id")))
_log = logging.getLogger(__name__)


class _ConcernsAll(PositionsError):
    """What was begun as a change of one account turns out to concern all: it is begun again."""


class _View(threading.local):
    """What a thread reads at once."""

    connection: Connection | None = None
    shown: Transaction | None = None


class Access(Clocked):
    """What the operation store reads and writes with. Safe for threads and for several processes."""

    def __init__(self, place: Path | str, *, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._place, self._migrations = place, migrations
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._walk = JournalWalk()
        self._chains: dict[str, str] = {}
        self._written_at: float | None = None
        self._view = _View()
        self._open()

    def _open(self) -> None:
        database = open_database(self._place)
        try:
            self._version, self._read_only = bring_up(database, self._migrations)
        except StoreUnavailable:
            database.close()
            raise
        self._take(database)
        self._newer = newer_than(self._version, 1 + len(self._migrations))

    def close(self) -> None:
        self._database.close()

    def status(self) -> StoreStatus:
        """Whether it can be written: something was just now, or is now, because a full disk refuses only that."""
        reason, written_at = "", self._written_at
        if self._read_only or written_at is None or time.monotonic() > written_at + _TRUSTED_FOR_S:
            try:
                with self._writing_beside() as connection:
                    keeping.put(connection, "probe", f"{time.monotonic()} " * 200)
            except StoreUnavailable as error:
                reason = self._read_only or error.message
        return StoreStatus(writable=not reason, reason=reason, schema_version=self._version, place=self._database.place)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Whatever this thread reads within it reads in one consistent view."""
        if self._view.connection is not None:
            yield
            return
        with self._reading() as connection:
            self._view.connection = connection
            try:
                yield
            finally:
                self._view.connection = self._view.shown = None

    @contextmanager
    def _reading(self, *, at_once: bool = True) -> Iterator[Connection]:
        """One consistent view, as `Database.reading`. What a newer program wrote is read as far as it can be."""
        try:
            if (shared := self._view.connection) is not None:
                yield shared
            else:
                with self._database.reading(at_once=at_once) as connection:
                    yield connection
        except StoreUnavailable as error:
            if self._newer:
                raise self._too_new() from error
            raise

    def _selected(self, selection: records.Selection, **values: Any) -> tuple[Operation, ...]:
        """Operations of which there are mostly none: only where some are found do these, with their rows, take a view.

        That is a transaction, which takes twice as long to begin and end as the statement.
        """
        with self._reading(at_once=False) as connection:
            if not selection.found.all(connection, **values):
                return ()
        with self._reading() as connection:
            return selection.read(connection, **values)

    @contextmanager
    def _viewing(self) -> Iterator[Transaction]:
        """The same for who asks of values and rosters: by what was walked, or by the journal where it is broken."""
        if self._view.shown is not None:
            yield self._view.shown
            return
        with self._reading() as connection:
            try:
                stand = locks.stand(connection)
                view = Transaction(connection, known=self._walk.known_at(connection, stand.common), stand=stand)
            except StoreUnavailable:
                view = Transaction(connection)
            self._view.shown = None if self._view.connection is None else view
            yield view

    def _too_new(self) -> StoreUnavailable:
        return StoreUnavailable(f"The operation store cannot be read: {self._newer}.", hint="Nothing was changed.")

    def _change(self, operation_id: str, work: Callable[[Transaction], T], *, entries: int = 1) -> T:
        """Change an operation: nobody else writes about its account meanwhile. Raises InvalidInput where it is none.

        So many `entries` it mostly adds to the journal.
        """
        return self._change_in(self._chain_of(operation_id), work, entries=entries)

    def _change_in(self, chain: str, work: Callable[[Transaction], T], *, entries: int = 1) -> T:
        """The same for an account, by its chain. What turns out to concern all accounts is done alone."""
        try:
            with self._writing(chain, entries=entries) as transaction:
                return work(transaction)
        except _ConcernsAll:
            with self._writing() as transaction:
                return work(transaction)

    def _chain_of(self, operation_id: str) -> str:
        """The chain of an operation's account, neither of which ever changes."""
        if (known := self._chains.get(operation_id)) is not None:
            return known
        with self._reading(at_once=False) as connection:
            found = _ACCOUNT_OF.first(connection, id=operation_id)
        if found is None:
            raise records.unknown(operation_id)
        return self._remember(operation_id, chain_of(Mode(found[0]), found[1]))

    def _remember(self, operation_id: str, chain: str) -> str:
        if len(self._chains) >= _MOST_CHAINS:
            self._chains.clear()
        return self._chains.setdefault(operation_id, chain)

    @contextmanager
    def _writing(self, chain: str = COMMON, *, entries: int = 1) -> Iterator[Transaction]:
        """A change of one account, or of anything where none is named, on a journal that holds up to this moment."""
        turn = self._turns[COMMON if self._database.is_sqlite else chain]
        with self._noting_success(), turn:
            with self._database.writing(reads_time=False) as connection:
                transaction = self._begun(connection, chain, entries)
                yield transaction
                transaction.finish()
            self._walk.advance(transaction.written)
        if transaction.refusal is not None:
            raise transaction.refusal
        if self._walk.is_long:
            self._checkpoint()

    @contextmanager
    def _writing_beside(self) -> Iterator[Connection]:
        """A change of what stands in no journal, and takes nobody's turn."""
        with self._noting_success(), self._database.writing() as connection:
            locks.lock_beside(connection)
            stand = locks.stand(connection)
            self._expect_version(stand.version)
            self._walk.known_at(connection, stand.common)
            yield connection

    @contextmanager
    def _noting(self) -> Iterator[Connection]:
        """The same without walking a chain for it: it bears on nothing that is sent."""
        self._expect_writable()
        with self._database.writing() as connection:
            self._expect_version(keeping.get(connection, keeping.VERSION))
            yield connection

    @contextmanager
    def _noting_success(self) -> Iterator[None]:
        """On a store that can be written, as far as is known, and whose journal was walked: the long way once."""
        try:
            self._expect_writable()
            if self._walk.begin(self._reading) and self._walk.is_long:
                self._checkpoint()
            yield
        except StoreUnavailable:
            self._written_at = None
            raise
        self._written_at = time.monotonic()

    def _begun(self, connection: Connection, chain: str, entries: int) -> Transaction:
        stand = locks.lock(connection, chain, self._walk.expected(chain), numbers=entries)
        self._database.note_time(connection, stand.told)
        self._expect_version(stand.version)
        known = self._walk.known_at(connection, stand.common)
        if known is None:
            raise broken(f"it does not go on to entry {self._walk.head(COMMON).sequence}")
        reach = partial(self._reach, connection, chain, stand)
        return Transaction(connection, known=known, stand=stand, reach=reach)

    def _reach(self, connection: Connection, chain: str, stand: locks.CurrentState, wanted: str) -> Head:
        """Where a chain ends that a change is about to add to. Raises StoreUnavailable."""
        if wanted == COMMON:
            if chain != COMMON and not self._database.is_sqlite:
                raise _ConcernsAll("It concerns all accounts.")
            return self._walk.head(COMMON)
        if wanted == chain:
            return self._walk.follow(connection, chain, stand.heads[chain])
        if chain != COMMON:
            raise broken(f"an operation of {wanted} is said to be one of {chain}")
        stand = locks.lock(connection, wanted, self._walk.expected(wanted))
        return self._walk.follow(connection, wanted, stand.heads[wanted])

    def _expect_version(self, version: str | None) -> None:
        if version != str(self._version):
            raise StoreUnavailable(
                f"The store's schema is now version {version}, and this program went by {self._version}.",
                hint="A newer positions-mcp migrated it: start that one in place of this.",
            )

    def _expect_writable(self) -> None:
        """What kept it from being written when it was opened may be over: it is opened again before that is said."""
        if self._read_only:
            old = self._database
            self._open()
            old.close()
        if self._read_only:
            raise StoreUnavailable(
                f"The operation store cannot be written: {self._read_only}.", hint="Nothing was recorded."
            )

    def anchor(self, now: datetime) -> None:
        """Anchor the chains that have moved, unless that was done within a minute. Raises StoreUnavailable."""
        known = self._walk.known
        if known.anchored_at is not None and now < known.anchored_at + ANCHORED_EVERY:
            return
        with self._reading() as connection:
            if not known.moved(heads(connection)):
                return
        with self._writing() as transaction:
            anchors.write_anchor(transaction, heads(transaction.connection), self._walk.known, now)

    def _checkpoint(self) -> None:
        """Write one, so that nobody walks what was walked here. Where that fails the next change tries again."""
        try:
            self._walk.go_on(self._reading)
            with self._writing() as transaction:
                found = self._walk.catch_up(transaction.connection)
                if self._walk.is_long:
                    anchors.write_checkpoint(transaction, found, self._walk.known, self._walk.at)
        except StoreUnavailable as error:
            _log.warning("no checkpoint was written: %s", error.message)
