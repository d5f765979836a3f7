"""Listings between their pages, as the servers of a store share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredListing:
    """A listing as it is stored: a store looks into neither what was asked nor the rows."""

    name: str
    owner: str
    """Who asked with which tool: nobody else may go on with it."""
    asked: str
    rows: int
    packs: Sequence[bytes]
    """All of them where it is kept; of one that is looked up, those that were asked for."""

    @property
    def size(self) -> int:
        """Bytes that it takes, more or less."""
        return len(self.asked) + sum(map(len, self.packs))


class ListingStore(Protocol):
    """Keeps listings for some minutes, the latest of each owner, in so much space."""

    def keep_listing(self, listing: StoredListing, now: datetime) -> None:
        """Keep it. Raises StoreUnavailable."""

    def listing(self, name: str, owner: str, packs: range, now: datetime) -> StoredListing | None:
        """An owner's listing with these of its packs; None where it is no longer kept. Raises StoreUnavailable."""
