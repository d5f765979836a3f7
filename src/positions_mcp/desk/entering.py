"""Signing in with a passkey: a challenge that this process made for one name and page, answered once in a minute."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from positions_mcp.desk.offers import PATIENCE
from positions_mcp.desk.passkeys import to_prove
from positions_mcp.desk.service import Desk
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.credentials import Passkey
from positions_mcp.domain.operation.roster import Member
from positions_mcp.guard.blocking import in_thread
from positions_mcp.signing.passkeys import recognised


@dataclass(eq=False)
class Entering:
    """Makes challenges without keeping them, so that nobody who is not signed in can fill anything up."""

    desk: Desk
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _used: dict[str, datetime] = field(default_factory=dict)

    async def ask(self, name: str, page: str) -> dict[str, Any]:
        """What a browser is to prove, and the offer under which its answer comes back. Raises Refused."""
        member, passkeys = await self._at(name, page)
        until = f"{(self.desk.clock.now() + PATIENCE).timestamp():.0f}"
        nonce = secrets.token_hex(16)
        offer = f"{until}.{nonce}.{self._seal(until, nonce, member.name, page).hex()}"
        return {"offer": offer, "sign": to_prove(self._challenge(offer), passkeys)}

    async def enter(self, name: str, page: str, offer: str, answer: Mapping[str, Any]) -> tuple[Member, Passkey]:
        """Who has answered. Raises Refused: too late, a second time, or by no passkey of theirs."""
        member, passkeys = await self._at(name, page)
        now = self.desk.clock.now()
        until, nonce, seal = ([*offer.split("."), "", "", ""])[:3]
        if not hmac.compare_digest(seal, self._seal(until, nonce, member.name, page).hex()) or nonce in self._used:
            raise Refused("That is not what was to be answered, or was answered before.", hint="Sign in again.")
        if now.timestamp() >= float(until):
            raise Refused("It took longer than a minute.", hint="Sign in again.")
        self._used = {each: at for each, at in self._used.items() if now - at < 2 * PATIENCE} | {nonce: now}
        passkey, assertion = recognised(passkeys, self._challenge(offer), answer)
        await in_thread(self.desk.count_passkey, passkey, assertion)
        return member, passkey

    async def _at(self, name: str, page: str) -> tuple[Member, list[Passkey]]:
        member = await self.desk.enrolling.member(name)
        passkeys = [each for each in member.credentials if isinstance(each, Passkey) and each.origin == page]
        if not passkeys:
            raise Refused(f"{member.name} has no passkey at {page}.", hint="Sign in with the passphrase.")
        return member, passkeys

    def _seal(self, *said: str) -> bytes:
        return hmac.digest(self._key, "\0".join(said).encode(), "sha256")

    @staticmethod
    def _challenge(offer: str) -> bytes:
        return hashlib.sha256(offer.encode()).digest()
