"""What a browser is asked for, in the JSON form that browsers read, and what waits for its answer.

An offer is frozen when it is asked for, answered at any desk within a minute, and used once.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.statements import Passkey, Statement, relying_party_of
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Clock
from positions_mcp.ports.beside import SessionStore, StoredOffer
from positions_mcp.signing.passkeys import ALGORITHMS, encoded

PATIENCE = timedelta(seconds=60)
"""How long a person may take for the touch; the browser is told the same."""
_MOST = 20


@dataclass(frozen=True, slots=True)
class Offers:
    """Those of one session for one purpose: an answer of another session, or to something else, finds none of them."""

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
