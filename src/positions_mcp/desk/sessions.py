"""Who is signed in: a cookie that the browser keeps and a token that only the tab knows. Both are needed.

A browser sends the cookies of a host to every port of it, so another program on this machine may see the cookie. It
never sees the token, which the page keeps in `sessionStorage` and sends as a header. The store has the hash of either:
who is signed in at one desk of it is signed in at all, and is signed out of all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import anyio

from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Passkey, Statement, relying_party_of
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Clock
from positions_mcp.ports.beside import SessionStore, StoredOffer, StoredSession
from positions_mcp.signing.passkeys import ALGORITHMS, encoded

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


PATIENCE = timedelta(seconds=60)
"""How long a person may take for the touch; the browser is told the same."""
_MOST = 20


@dataclass(frozen=True, slots=True)
class Offers:
    """What waits for a browser's answer: frozen when it is asked for, answered at any desk within a minute, used once.

    Those of one session for one purpose: an answer of another session, or to something else, finds none of them.
    """

    store: SessionStore
    clock: Clock
    session: str
    """Hash of its cookie."""
    purpose: str

    async def make(self, what: Mapping[str, Any]) -> str:
        """The name under which the answer is to come back. Of too many the oldest is forgotten."""
        name, now = secrets.token_urlsafe(16), self.clock.now()
        offer = StoredOffer(self._hash(name), self.session, now + PATIENCE, json.dumps(what))
        await in_thread(partial(self.store.keep_offer, offer, now, most=_MOST))
        return name

    async def find(self, name: str) -> dict[str, Any]:
        """What was offered. Raises Refused."""
        return await self._read(self.store.offer, name)

    async def take(self, name: str) -> dict[str, Any]:
        """The same for the only time: it is gone afterwards, whatever the answer is worth. Raises Refused."""
        return await self._read(self.store.take_offer, name)

    async def _read(self, read: Callable[[str, datetime], str | None], name: str) -> dict[str, Any]:
        content = await in_thread(read, self._hash(name), self.clock.now())
        if content is None:
            raise Refused(
                "What was to be answered is no longer waiting for it.",
                hint="Nothing was decided. Try again: it has to be answered within a minute, and only once.",
            )
        what: dict[str, Any] = json.loads(content)
        return what

    def _hash(self, name: str) -> str:
        return hashlib.sha256(json.dumps([name, self.session, self.purpose]).encode()).hexdigest()


_TIMEOUT_MS = int(PATIENCE.total_seconds() * 1000)
_TITLE = "Positions desk"


def to_sign(statement: Statement, passkey: Passkey) -> dict[str, Any]:
    """For `navigator.credentials.get()`: one statement, one passkey, the person verified."""
    return to_prove(statement.challenge, [passkey])


def to_prove(challenge: bytes, passkeys: Sequence[Passkey]) -> dict[str, Any]:
    """For `navigator.credentials.get()`, that one of somebody's passkeys is there, with its owner verified."""
    return {
        "challenge": encoded(challenge),
        "rpId": relying_party_of(passkeys[0].origin),
        "allowCredentials": [_named(passkey) for passkey in passkeys],
        "userVerification": "required",
        "timeout": _TIMEOUT_MS,
    }


def to_make(challenge: bytes, name: str, origin: str, held: Sequence[Passkey]) -> dict[str, Any]:
    """For `navigator.credentials.create()`. A device that has one of those that are `held` makes no second one."""
    return {
        "challenge": encoded(challenge),
        "rp": {"id": relying_party_of(origin), "name": _TITLE},
        # A new handle each time: with one that it knows, a device would write over the passkey that it has.
        "user": {"id": encoded(secrets.token_bytes(32)), "name": name, "displayName": name},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "excludeCredentials": [_named(passkey) for passkey in held],
        "authenticatorSelection": {"userVerification": "required", "residentKey": "preferred"},
        "attestation": "none",
        "timeout": _TIMEOUT_MS,
    }


def _named(passkey: Passkey) -> dict[str, str]:
    return {"type": "public-key", "id": passkey.credential_id}
