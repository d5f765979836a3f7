"""What the servers of a store share beside its journal: who is signed in at a desk, and listings between pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One signed-in browser. Of its secrets only hashes are stored."""

    cookie: str
    token: str
    name: str
    """Whose it is."""
    credential: str
    """Fingerprint of what they signed in with: it ends with that."""
    opened_at: datetime
    seen_at: datetime
    until: datetime
    """When it ends by itself, or ended."""
    entered_by: str | None = None
    """Hash of the challenge that a passkey answered: it is answered once."""


@dataclass(frozen=True, slots=True)
class StoredOffer:
    """What waits for a browser's answer."""

    offer: str
    """Hash of the name under which the answer comes."""
    session: str
    """Hash of the cookie of the session that it is of."""
    until: datetime
    content: str


class SessionStore(Protocol):
    """Keeps them beside the journal: nothing is decided by a session."""

    def open_session(self, session: StoredSession, *, most: int) -> None:
        """Keep a new one; of more than `most` that are open the one left alone for longest ends.

        Raises Refused where its challenge was answered before, StoreUnavailable.
        """

    def session(self, cookie: str) -> StoredSession | None:
        """The one with this hash of a cookie, also where it is over. Raises StoreUnavailable."""

    def keep_session(self, cookie: str, *, seen_at: datetime, until: datetime) -> None:
        """Note that a person did something there, or that it ends: an end is never taken back."""

    def count_guess(self, cookie: str, by: int) -> int:
        """Add to its wrong passphrases. Returns how many there are."""

    def keep_offer(self, offer: StoredOffer, now: datetime, *, most: int) -> None:
        """Keep what waits for an answer; of more than `most` of its session the oldest is forgotten.

        Raises StoreUnavailable.
        """

    def offer(self, offer: str, now: datetime) -> str | None:
        """The content of the one with this hash; None where it is over, or was taken. Raises StoreUnavailable."""

    def take_offer(self, offer: str, now: datetime) -> str | None:
        """The same for the only time, over all desks. Raises StoreUnavailable."""

    def sealing_keys(self, now: datetime) -> Sequence[str]:
        """The keys that all servers of the store share: the one that seals now, and those that open as well."""


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
