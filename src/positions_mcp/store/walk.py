"""How far this process has walked the journal's chains, and the way on from there.

It begins at the latest checkpoint and walks what came after it, once; from then on it walks what others have added to
the chains that it needs, within the transaction that needs them. Verification walks everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Connection, func, select

from positions_mcp.store import anchors, journal, keeping
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.journal import COMMON, Head
from positions_mcp.store.known import Known
from positions_mcp.store.schema import chains, meta

View = Callable[[], AbstractContextManager[Connection]]
_COUNTS = Compiled(
    select(
        select(func.coalesce(func.sum(chains.c.entries), 0)).scalar_subquery(),
        select(meta.c.value).where(meta.c.key == given("key")).scalar_subquery(),
    )
)
CHECKPOINT_AFTER = 1_000
"""Entries that a process has walked or written before it writes a checkpoint: so many the next process walks."""


class JournalWalk:
    """One for a process and store. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._heads: dict[str, Head] = {}
        self._begun = False
        self._since_checkpoint = 0
        self._at = ""
        self.known = Known()
        """What the common chain says, as far as it was walked."""

    @property
    def is_long(self) -> bool:
        """Whether so much came after the last checkpoint that another one is due."""
        return self._since_checkpoint >= CHECKPOINT_AFTER

    @property
    def at(self) -> datetime:
        """When the entry that was walked last was written."""
        return datetime.fromisoformat(self._at)

    def head(self, chain: str) -> Head:
        """How far a chain was walked."""
        return self._heads.get(chain, Head())

    def begin(self, view: View) -> bool:
        """Walk every chain to its end, the first time that this is asked for. Returns whether it was.

        Raises StoreUnavailable.
        """
        with self._lock:
            if self._begun:
                return False
            with view() as connection:
                self._begin(connection)
                self.catch_up(connection)
            self._begun = True
            return True

    def go_on(self, view: View) -> None:
        """Walk every chain to its end, while others may write. Raises StoreUnavailable."""
        with self._lock, view() as connection:  # opened now, it shows all that this process has walked
            self.catch_up(connection)

    def catch_up(self, connection: Connection) -> dict[str, Head]:
        """The same while nobody writes. Returns where the chains end."""
        with self._lock:
            found = heads(connection)
            for chain, stored in found.items():
                self._follow(connection, chain, stored)
            if gone := sorted(set(self._heads) - set(found)):
                raise journal.broken(f"the chain of {gone[0]} is gone")
            return found

    def follow(self, connection: Connection, chain: str, stored: Head) -> Head:
        """Walk one chain to its end, which is noted to be `stored`. Raises StoreUnavailable."""
        with self._lock:
            self._follow(connection, chain, stored)
            return stored

    def known_at(self, connection: Connection, stored: Head) -> Known | None:
        """What the common chain says up to `stored`; None where this process is further already."""
        with self._lock:
            if stored.sequence < self.head(COMMON).sequence:
                return None
            self._follow(connection, COMMON, stored)
            return self.known

    def advance(self, written: Iterable[journal.Entry]) -> None:
        """Take in what this process has added to chains that it had walked to their ends."""
        with self._lock:
            self._take(entry for entry in written if entry.sequence > self.head(entry.chain).sequence)

    def expected(self, chain: str) -> dict[int, str]:
        """The hashes, by number, of the entries that decide: they have to stand as they were walked.

        That is the last entry of the chain that is written to, and the last about each single value.
        """
        head = self.head(chain)
        told = {told.sequence: told.hash for told in self.known.values.values()}
        return told | ({head.sequence: head.hash} if head.sequence else {})

    def _begin(self, connection: Connection) -> None:
        """At the latest checkpoint; at the beginning where there is none."""
        if (found := anchors.latest_checkpoint(connection)) is not None:
            self._heads, self.known = found
            self._since_checkpoint = 0

    def _follow(self, connection: Connection, chain: str, stored: Head) -> None:
        head = self.head(chain)
        if stored.sequence > head.sequence:
            self._take(_until(journal.rows_after(connection, head.sequence, chain), stored.sequence))
        if self.head(chain) != stored:
            raise journal.broken(f"it ends at entry {self.head(chain).sequence}, not where it was left")

    def _take(self, entries: Iterable[journal.Entry]) -> None:
        """All of them, or none where one does not follow."""
        taken: dict[str, Head] = {}
        known, since, at = self.known, self._since_checkpoint, self._at
        for entry in entries:
            taken[entry.chain] = taken.get(entry.chain, self.head(entry.chain)).then(entry)
            since, at = since + 1, entry.at
            if entry.chain == COMMON:
                known = known.copy() if known is self.known else known
                known.take(entry)
                since = 0 if anchors.is_checkpoint(entry) else since
        self._heads |= taken
        self.known, self._since_checkpoint, self._at = known, since, at


def count(connection: Connection) -> int:
    """How many entries all chains have, as noted beside the journal."""
    ((of_accounts, common),) = _COUNTS.all(connection, key=keeping.JOURNAL_HEAD)
    return int(of_accounts) + Head.read(common).entries


def heads(connection: Connection) -> dict[str, Head]:
    """Where every chain ends, as noted beside the journal."""
    noted = {row.chain: Head(row.sequence, row.hash, row.entries) for row in connection.execute(select(chains))}
    return {COMMON: Head.read(keeping.get(connection, keeping.JOURNAL_HEAD)), **noted}


def _until(rows: Iterable[journal.Entry], sequence: int) -> Iterator[journal.Entry]:
    for row in rows:
        if row.sequence > sequence:
            return
        yield row
