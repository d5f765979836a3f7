"""The part of the operation store about what has changed since somebody looked.

Accounts are written at once, and an entry may be committed after one of another account that has a higher number. So
how far somebody has read is noted for each chain: within one, entries are committed in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, func, or_, select

from positions_mcp.store.access import Access
from positions_mcp.store.schema import journal
from positions_mcp.store.walk import count, heads


class StoredFeed(Access):
    """What changes, for who wants to hear of it."""

    def newest(self) -> int:
        """How many entries the journal has: cheap, for who looks for changes."""
        with self._reading(at_once=False) as connection:
            return count(connection)

    def ends(self) -> Mapping[str, int]:
        """The number of the last entry of each chain."""
        with self._reading() as connection:
            return {chain: head.sequence for chain, head in heads(connection).items()}

    def changed_since(self, ends: Mapping[str, int], *, most: int) -> tuple[Mapping[str, int], tuple[str, ...]]:
        """Where the chains end now, and the operations with entries behind `ends`, the one changed first first.

        Of more than so many the ones changed last.
        """
        with self._reading() as connection:
            now = {chain: head.sequence for chain, head in heads(connection).items()}
            moved = [(chain, ends.get(chain, 0)) for chain, at in now.items() if at != ends.get(chain, 0)]
            if not moved:
                return now, ()
            behind = or_(*(and_(journal.c.chain == chain, journal.c.sequence > at) for chain, at in moved))
            latest = func.max(journal.c.sequence)
            wanted = select(journal.c.operation_id).where(behind, journal.c.operation_id.is_not(None))
            changed = wanted.group_by(journal.c.operation_id).order_by(latest.desc()).limit(most)
            return now, tuple(reversed(connection.execute(changed).scalars().all()))
