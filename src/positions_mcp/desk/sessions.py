"""Who is signed in: a cookie that the browser keeps and a token that only the tab knows. Both are needed.

A browser sends the cookies of a host to every port of it, so another program on this machine may see the cookie. It
never sees the token, which the page keeps in `sessionStorage` and sends as a header. The store has the hash of either:
who is signed in at one desk of it is signed in at all, and is signed out of all.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.roster import Member
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Clock
from positions_mcp.ports.beside import SessionStore, StoredSession

LONGEST = timedelta(hours=12)
IDLE = timedelta(minutes=30)
MOST_WRONG = 5
"""Wrong passphrases in one session before it ends. Signing in again takes the right one."""
_SEEN_EVERY = timedelta(minutes=1)
"""How often it is written down that somebody is there."""
_MOST_SESSIONS = 100


@dataclass(slots=True)
class _Here:
    """What of a session belongs to one desk."""

    guessing: anyio.Lock = field(default_factory=anyio.Lock)


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. `guessing` lets one passphrase of it be tried at a time."""

    stored: StoredSession
    member: Member
    """Whose it is, as the roster has them by now."""
    guessing: anyio.Lock

    @property
    def name(self) -> str:
        """What who is signed in is called."""
        return self.stored.name


class Sessions:
    """The sessions of a store's desks."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._here: OrderedDict[str, _Here] = OrderedDict()

    async def open(self, member: Member, credential: str, *, entered_by: str | None = None) -> tuple[str, str]:
        """The cookie and the token of a new session. Of too many the one that was not used for longest ends.

        Raises Refused where the challenge that it was `entered_by` was answered before.
        """
        now = self._clock.now()
        cookie, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        answered = _hash(entered_by) if entered_by else None
        session = StoredSession(
            _hash(cookie), _hash(token), member.name, credential, now, now, _until(now, now), answered
        )
        await in_thread(self._store.open_session, session, most=_MOST_SESSIONS)
        return cookie, token

    async def find(self, cookie: str, token: str, *, touch: bool) -> StoredSession | None:
        """The session of a request that has both; None where either is wrong or it is over.

        `touch` notes that a person did something: what a page does by itself keeps nobody signed in.
        """
        found, now = await in_thread(self._store.session, _hash(cookie)), self._clock.now()
        if found is None or now >= found.until or not secrets.compare_digest(found.token, _hash(token)):
            return None
        if touch and now >= found.seen_at + _SEEN_EVERY:
            until = _until(found.opened_at, now)
            with suppress(StoreUnavailable):  # what can only be read is looked at all the same
                await in_thread(self._store.keep_session, found.cookie, seen_at=now, until=until)
        return found

    def of(self, stored: StoredSession, member: Member) -> Session:
        """The session of who the roster has, with what of it belongs to this desk."""
        here = self._here.setdefault(stored.cookie, _Here())
        self._here.move_to_end(stored.cookie)
        while len(self._here) > _MOST_SESSIONS:
            self._here.popitem(last=False)
        return Session(stored, member, here.guessing)

    async def is_open(self, stored: StoredSession) -> bool:
        found = await in_thread(self._store.session, stored.cookie)
        return found is not None and self._clock.now() < found.until

    async def guess(self, session: Session, by: int = 1) -> int:
        """Count a passphrase before it is tried, at whichever desk. Returns how many were wrong, with this one."""
        return await in_thread(self._store.count_guess, session.stored.cookie, by)

    async def end_of(self, cookie: str) -> None:
        """End the session of a cookie, if there is one: its browser has signed in anew."""
        await self._end(_hash(cookie))

    async def end(self, stored: StoredSession) -> None:
        """Sign out, at every desk."""
        await self._end(stored.cookie)

    async def _end(self, cookie: str) -> None:
        now = self._clock.now()
        self._here.pop(cookie, None)
        await in_thread(self._store.keep_session, cookie, seen_at=now, until=now)


def _until(opened_at: datetime, seen_at: datetime) -> datetime:
    """When it ends by itself: after twelve hours, or half an hour without a request."""
    return min(opened_at + LONGEST, seen_at + IDLE)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
