"""What a store is bound to outside of itself: its own name, its paper exchange, and what servers have seen of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from sqlalchemy import select, tuple_

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.store import keeping
from positions_mcp.store.access import Access
from positions_mcp.store.compiled import Compiled
from positions_mcp.store.schema import journal

_NAME, _EXCHANGE = "store_name", "paper_exchange"

_LAST = Compiled(select(journal.c.sequence, journal.c.hash).order_by(journal.c.sequence.desc()).limit(1))


class StoreBindings(Access):
    """The part of the operation store that keeps them. They stand beside the journal, which does not depend on them."""

    def name(self) -> str:
        """What tells this store from every other one: a copy has the same, one that is made anew does not."""
        return self._kept(_NAME, secrets.token_hex(8))

    def bind(self, exchange: str) -> None:
        """Serve this paper exchange from now on. Raises StoreUnavailable where it serves another one."""
        if self._kept(_EXCHANGE, exchange) != exchange:
            raise StoreUnavailable(
                "This store belongs to another paper exchange: with two books, what is closed in one would be closed "
                "in the other as well.",
                hint="Let every server of the store use one `positions-mcp paper serve` (paper.url), or give this one "
                "a store of its own.",
            )

    @property
    def sessions(self) -> int:
        """How many sessions have begun: after one more, a standby may have taken over."""
        return self._database.sessions

    def missing(self, entries: Iterable[tuple[int, str]]) -> tuple[int, ...]:
        """Which of these entries, by number and hash, do not stand in the journal."""
        wanted = dict(entries)
        with self._reading() as connection:
            found = connection.execute(
                select(journal.c.sequence).where(tuple_(journal.c.sequence, journal.c.hash).in_(list(wanted.items())))
            ).scalars()
            return tuple(sorted(set(wanted) - set(found)))

    def walked_to(self, operation_id: str) -> tuple[int, str]:
        """The last entry, by number and hash, that this process has seen or written in the chain of an account."""
        head = self._walk.head(self._chain_of(operation_id))
        return head.sequence, head.hash

    def last(self) -> tuple[int, str] | None:
        """The entry of the highest number, by number and hash; None where there is none."""
        with self._reading(at_once=False) as connection:
            found = _LAST.first(connection)
        return None if found is None else (int(found[0]), str(found[1]))

    def _kept(self, key: str, value: str) -> str:
        """What is kept under a name; `value` from now on where nothing is."""
        with self._reading() as connection:
            if (kept := keeping.get(connection, key)) is not None:
                return kept
        with self._writing() as transaction:
            if (kept := keeping.get(transaction.connection, key)) is not None:
                return kept
            keeping.put(transaction.connection, key, value)
        return value
