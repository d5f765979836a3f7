"""Signing in with a passkey: a challenge that a desk made for one name and page, answered at any, once in a minute."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from positions_mcp.desk.offers import PATIENCE, to_prove
from positions_mcp.desk.service import Desk
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Passkey
from positions_mcp.guard.threads import in_thread
from positions_mcp.signing.passkeys import recognised


@dataclass(eq=False)
class Entering:
    """Makes challenges without keeping them, so that nobody who is not signed in can fill anything up.

    They are sealed with the keys that the servers of a store share. The session that one opens says that it was used.
    """

    desk: Desk

    async def ask(self, name: str, page: str) -> dict[str, Any]:
        """What a browser is to prove, and the offer under which its answer comes back. Raises Refused."""
        member, passkeys = await self._at(name, page)
        until = f"{(self.desk.clock.now() + PATIENCE).timestamp():.0f}"
        nonce = secrets.token_hex(16)
        key, *_ = await self._keys()
        offer = f"{until}.{nonce}.{_seal(key, until, nonce, member.name, page)}"
        return {"offer": offer, "sign": to_prove(self._challenge(offer), passkeys)}

    async def enter(self, name: str, page: str, offer: str, answer: Mapping[str, Any]) -> tuple[Member, Passkey]:
        """Who has answered. Raises Refused: too late, or by no passkey of theirs."""
        member, passkeys = await self._at(name, page)
        now = self.desk.clock.now()
        until, nonce, seal = ([*offer.split("."), "", "", ""])[:3]
        seals = [_seal(key, until, nonce, member.name, page) for key in await self._keys()]
        if not any(hmac.compare_digest(seal.encode(), each.encode()) for each in seals):
            raise Refused("That is not what was to be answered.", hint="Sign in again.")
        if now.timestamp() >= float(until):
            raise Refused("It took longer than a minute.", hint="Sign in again.")
        passkey, assertion = recognised(passkeys, self._challenge(offer), answer)
        await in_thread(self.desk.count_passkey, passkey, assertion)
        return member, passkey

    async def _at(self, name: str, page: str) -> tuple[Member, list[Passkey]]:
        member = await self.desk.enrolling.member(name)
        passkeys = [each for each in member.credentials if isinstance(each, Passkey) and each.origin == page]
        if not passkeys:
            raise Refused(f"{member.name} has no passkey at {page}.", hint="Sign in with the passphrase.")
        return member, passkeys

    async def _keys(self) -> Sequence[str]:
        return await in_thread(self.desk.session_store.sealing_keys, self.desk.clock.now())

    @staticmethod
    def _challenge(offer: str) -> bytes:
        return hashlib.sha256(offer.encode()).digest()


def _seal(key: str, *said: str) -> str:
    return hmac.digest(key.encode(), "\0".join(("sign in at the desk", *said)).encode(), "sha256").hex()
