"""The routes by which passkeys are added and removed: each is a change of the roster that somebody there signs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import body_of, mapping_of, page_of, text_of
from positions_mcp.desk.door import Door
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Offers, Session, to_make
from positions_mcp.desk.touching import is_touched, offers_of, signed_either_way, touched
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Credential, Passkey
from positions_mcp.domain.text import clean
from positions_mcp.guard.enrolling import Change, adding, removing
from positions_mcp.guard.touches import Person, Touch
from positions_mcp.signing.passkeys import enrolled

_LONGEST_LABEL = 40


@dataclass(eq=False)
class Approvers:
    """Who may decide, and with which passkeys."""

    desk: Desk
    door: Door

    async def listed(self, request: Request, session: Session) -> Response:
        """The members with their credentials, and whether who is signed in may change them."""
        chain = await self.desk.enrolling.rosters()
        return JSONResponse(
            {
                "digest": chain.head,
                "you": session.name,
                "can_change": any(member.manages for member in chain.members if member.name == session.name),
                "page_is_named": Passkey.may_be_made_at(page_of(request)),
                "members": [_member(member) for member in chain.members],
            }
        )

    async def make(self, request: Request, session: Session) -> Response:
        """`{name, label}` → what the browser is to make. It counts once `add` has a signature for it."""
        body, page, now = await body_of(request), page_of(request), self.desk.clock.now()
        label = clean(text_of(body, "label"), _LONGEST_LABEL)
        chain = await self.desk.enrolling.rosters()
        member = chain.member(text_of(body, "name"))
        if member is None or not label or not Passkey.may_be_made_at(page):
            raise InvalidInput(
                "A passkey is an approver's, has a name, and belongs to a page at localhost.",
                hint="Nothing was enrolled.",
            )
        challenge = secrets.token_bytes(32)
        # Of everybody: one device is one person's.
        every = [each for holder in chain.members for each in holder.credentials]
        held = [each for each in every if isinstance(each, Passkey) and each.origin == page]
        making = {"name": member.name, "label": label, "challenge": challenge.hex(), "at": now.isoformat()}
        offer = await self._made(session).make(making)
        return JSONResponse({"offer": offer, "create": to_make(challenge, member.name, page, held)})

    async def add(self, request: Request, session: Session) -> Response:
        """`{offer, made}` with `passphrase`; or with `passkey`, and then `{offer, assertion}`.

        What was made is not made again where the passphrase was wrong.
        """
        made, page = self._made(session), page_of(request)

        async def to_touch(body: dict[str, Any], who: Person) -> Touch:
            return await self.desk.enrolling.with_touch(_addition(body, page), who)

        async def with_touch() -> dict[str, Any]:
            body = await body_of(request)
            if "assertion" in body:
                return await touched(self.door, request, session, body, to_touch)
            name = text_of(body, "offer")
            body["making"] = await made.find(name)
            asked = await touched(self.door, request, session, body, to_touch)
            await made.take(name)
            return asked

        async def with_passphrase() -> None:
            body = await body_of(request)
            name = text_of(body, "offer")
            body["making"] = await made.find(name)
            who, key = await self.desk.enrolling.signer(session.name, text_of(body, "passphrase"), page)
            await (await to_touch(body, who)).sign(key)
            await made.take(name)

        if await is_touched(request):
            return await self.door.with_touch(with_touch, None)
        return await self.door.with_passphrase(session, with_passphrase, None)

    def _made(self, session: Session) -> Offers:
        return offers_of(self.door, session, "a passkey to be made")

    async def remove(self, request: Request, session: Session) -> Response:
        """`{fingerprint, digest}` with `passphrase`; or with `passkey`, and then `{offer, assertion}`."""

        async def to_touch(body: dict[str, Any], who: Person) -> Touch:
            change = removing(text_of(body, "fingerprint"), text_of(body, "digest"))
            return await self.desk.enrolling.with_touch(change, who)

        return await signed_either_way(self.door, request, session, to_touch)


def _addition(body: dict[str, Any], page: str) -> Change:
    """Of what a browser made, as it was offered to make it."""
    making = body["making"]
    challenge, now = bytes.fromhex(making["challenge"]), datetime.fromisoformat(making["at"])
    passkey = enrolled(mapping_of(body, "made"), challenge=challenge, origin=page, label=making["label"], now=now)
    return adding(making["name"], passkey)


def _member(member: Member) -> dict[str, Any]:
    credentials = [_credential(each) for each in member.credentials]
    return {"name": member.name, "manages": member.manages, "credentials": credentials}


def _credential(credential: Credential) -> dict[str, str]:
    said = {
        "kind": credential.kind,
        "fingerprint": credential.fingerprint,
        "created_at": credential.created_at.isoformat(),
    }
    if isinstance(credential, Passkey):
        return {**said, "label": credential.label, "origin": credential.origin}
    return said
