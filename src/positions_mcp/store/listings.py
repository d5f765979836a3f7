"""Listings between their pages, for the servers of a PostgreSQL store: any of them goes on with what another listed.

They stand in no journal and in tables that are not logged: a crash of the database empties them, and who went on with
one lists again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from positions_mcp.domain.account.listings import LIFETIME, MOST_KEPT
from positions_mcp.ports.beside import StoredListing
from positions_mcp.store.access import Access
from positions_mcp.store.instants import instant
from positions_mcp.store.schema import as_text, listing_packs, listings

MOST_STORED_BYTES = 400_000_000
"""Of all listings of a store together: forty of 100,000 rows."""


class StoredListings(Access):
    """Implements `positions_mcp.ports.beside.ListingStore`, over what the whole store reads and writes with."""

    def keep_listing(self, listing: StoredListing, now: datetime) -> None:
        """Keep it for ten minutes by the database's clock. Of too many the oldest are given up."""
        with self._noting() as connection:
            now = instant(connection, now)
            _give_up(connection, listings.c.kept_until <= as_text(now))
            kept = select(listings.c.name, listings.c.owner, listings.c.size).order_by(listings.c.kept_until)
            if too_many := list(_too_many(connection.execute(kept).all(), listing)):
                _give_up(connection, listings.c.name.in_(too_many))
            connection.execute(
                insert(listings).values(
                    name=listing.name,
                    owner=listing.owner,
                    kept_until=as_text(now + LIFETIME),
                    size=listing.size,
                    rows=listing.rows,
                    asked=listing.asked,
                )
            )
            packs = [{"listing": listing.name, "number": at, "content": pack} for at, pack in enumerate(listing.packs)]
            connection.execute(insert(listing_packs), packs)

    def listing(self, name: str, owner: str, packs: range, now: datetime) -> StoredListing | None:
        """An owner's listing with these of its packs; None where it is no longer kept."""
        of_it = and_(listing_packs.c.listing == listings.c.name, listing_packs.c.number.in_(packs))
        wanted = (
            select(listings.c.asked, listings.c.rows, listing_packs.c.content)
            .join_from(listings, listing_packs, of_it, isouter=True)
            .where(listings.c.name == name, listings.c.owner == owner, listings.c.kept_until > as_text(now))
            .order_by(listing_packs.c.number)
        )
        with self._reading() as connection:
            found = connection.execute(wanted).all()
        if not found:
            return None
        content = [each.content for each in found if each.content is not None]
        return StoredListing(name, owner, found[0].asked, found[0].rows, content)


def _give_up(connection: Connection, which: ColumnElement[bool]) -> None:
    """Those that another server gives up at this moment are left to it: nobody waits here."""
    free = select(listings.c.name).where(which).with_for_update(skip_locked=True)
    connection.execute(delete(listings).where(listings.c.name.in_(free)))


def _too_many(kept: Sequence[Any], new: StoredListing) -> Iterator[str]:
    """Of those that are kept, oldest first, the ones that give way to a new one: the owner's own beyond eight.

    Where there is too much of all owners, the oldest of who has most: nobody pushes out another's as long as that one
    has less.
    """
    left = [(each.name, each.owner, each.size) for each in kept]
    theirs = [name for name, owner, _ in left if owner == new.owner]
    given_up = set(theirs[: max(0, len(theirs) - MOST_KEPT + 1)])
    yield from given_up
    left = [each for each in left if each[0] not in given_up]
    sizes = Counter({new.owner: new.size})
    for _, owner, size in left:
        sizes[owner] += size
    while left and sizes.total() > MOST_STORED_BYTES:
        heaviest = max({owner for _, owner, _ in left}, key=lambda owner: sizes[owner])
        oldest = next(each for each in left if each[1] == heaviest)
        left.remove(oldest)
        sizes[heaviest] -= oldest[2]
        yield oldest[0]
