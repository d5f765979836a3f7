"""Who is signed in: a cookie that the browser keeps and a token that only the tab knows. Both are needed.

A browser sends the cookies of a host to every port of it, so another program on this machine may see the cookie. It
never sees the token, which the page keeps in `sessionStorage` and sends as a header. Sessions live in this process:
after a restart everybody signs in again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from positions_mcp.desk.offers import Offers
from positions_mcp.domain.operation.roster import Member
from positions_mcp.ports import Clock

LONGEST = timedelta(hours=12)
IDLE = timedelta(minutes=30)
MOST_WRONG = 5
"""Wrong passphrases in one session before it ends. Signing in again takes the right one."""
_MOST_SESSIONS = 100


@dataclass(slots=True, eq=False)
class Session:
    """One signed-in browser. `guessing` lets one passphrase of it be tried at a time."""

    cookie: str
    token: str
    opened_at: datetime
    seen_at: datetime
    member: Member
    """Whose it is, as the roster has them by now."""
    credential: str
    """Fingerprint of what they signed in with: it ends with that."""
    wrong: int = 0
    offers: Offers = field(default_factory=Offers)
    guessing: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def name(self) -> str:
        """What who is signed in is called."""
        return self.member.name

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended by itself: after twelve hours, or half an hour without a request."""
        return now >= self.opened_at + LONGEST or now >= self.seen_at + IDLE


class Sessions:
    """The sessions of one desk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Session] = {}

    def open(self, member: Member, credential: str) -> Session:
        """A new session of somebody. Of too many the one that was not used for longest ends."""
        now = self._clock.now()
        cookie, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session = Session(cookie, token, opened_at=now, seen_at=now, member=member, credential=credential)
        if len(self._open) >= _MOST_SESSIONS:
            self.end(min(self._open.values(), key=lambda each: each.seen_at))
        self._open[session.cookie] = session
        return session

    def find(self, cookie: str, token: str, *, touch: bool) -> Session | None:
        """The session of a request that has both; None where either is wrong or it is over.

        `touch` notes that a person did something: what a page does by itself keeps nobody signed in.
        """
        session = self._open.get(cookie)
        if session is None:
            return None
        now = self._clock.now()
        if session.is_over(now):
            self.end(session)
            return None
        if not secrets.compare_digest(session.token.encode(), token.encode()):
            return None
        if touch:
            session.seen_at = now
        return session

    def is_open(self, session: Session) -> bool:
        """Whether it still stands."""
        return self._open.get(session.cookie) is session and not session.is_over(self._clock.now())

    def wrong_passphrase(self, session: Session) -> bool:
        """Count a wrong guess. Returns whether the session ended by it."""
        session.wrong += 1
        if session.wrong >= MOST_WRONG:
            self.end(session)
            return True
        return False

    def end_of(self, cookie: str) -> None:
        """End the session of a cookie, if there is one: its browser has signed in anew."""
        self._open.pop(cookie, None)

    def end(self, session: Session) -> None:
        """Sign out."""
        self._open.pop(session.cookie, None)
