"""A decision that a person signs at the page: with their passphrase at once, or by one touch in two steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from positions_mcp.desk.answers import body_of, mapping_of, page_of, text_of
from positions_mcp.desk.door import Door
from positions_mcp.desk.sessions import Offers, Session, to_sign
from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.statements import Statement
from positions_mcp.guard.touches import Person, Touch

ToTouch = Callable[[dict[str, Any], Person], Awaitable[Touch]]
"""A decision as something to sign: from what a page sends, and who is about to sign it with what."""


def person_at(request: Request, session: Session, body: dict[str, Any]) -> Person:
    """Who is about to touch which of their passkeys, at which of the desk's addresses."""
    return Person(session.name, text_of(body, "passkey"), page_of(request))


def offers_of(door: Door, session: Session, purpose: str) -> Offers:
    """What waits for the answer of a session's browser to one purpose: a route."""
    return Offers(door.desk.session_store, door.desk.clock, session.stored.cookie, purpose)


async def touched(
    door: Door, request: Request, session: Session, body: dict[str, Any], to_touch: ToTouch
) -> dict[str, Any]:
    """What the browser is to have signed; or, where it was, what came of it.

    What is asked for is stored with its statement, and made again from it where the signature comes: at any desk.
    """
    offers = offers_of(door, session, request.url.path)
    if "assertion" not in body:
        touch = await to_touch(body, person_at(request, session, body))
        name = await offers.make({"asked": body, "statement": touch.statement.model_dump(mode="json")})
        return {"offer": name, "sign": to_sign(touch.statement, touch.passkey)}
    offer = await offers.take(text_of(body, "offer"))
    asked: dict[str, Any] = offer["asked"]
    touch = (await to_touch(asked, person_at(request, session, asked))).as_frozen(_statement_of(offer))
    return await touch.finish(mapping_of(body, "assertion")) or {}


def _statement_of(offer: dict[str, Any]) -> Statement:
    try:
        return Statement.model_validate(offer["statement"])
    except ValidationError:
        raise Refused("What was to be signed was altered in the store.", hint="Nothing was decided.") from None


async def signed_either_way(
    door: Door, request: Request, session: Session, to_touch: ToTouch, *, about: Operation | None = None
) -> Response:
    """With `passphrase` at once; with `passkey` what is to be signed, and then `{offer, assertion}`."""

    async def with_passphrase() -> None:
        body = await body_of(request)
        passphrase = text_of(body, "passphrase")
        who, key = await door.desk.enrolling.signer(session.name, passphrase, page_of(request))
        await (await to_touch(body, who)).sign(key)

    if await is_touched(request):
        return await signed_with_touch(door, request, session, to_touch, about=about)
    return await door.with_passphrase(session, with_passphrase, about)


async def signed_with_touch(
    door: Door, request: Request, session: Session, to_touch: ToTouch, *, about: Operation | None = None
) -> Response:
    """What a passkey is to sign, and then what came of it."""

    async def with_touch() -> dict[str, Any]:
        return await touched(door, request, session, await body_of(request), to_touch)

    return await door.with_touch(with_touch, about)


async def is_touched(request: Request) -> bool:
    """Whether a passkey is to sign, or has signed."""
    try:
        body = await body_of(request)
    except PositionsError:
        return False
    return "assertion" in body or ("passkey" in body and "passphrase" not in body)
