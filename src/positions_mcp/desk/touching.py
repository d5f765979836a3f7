"""Between a page and what a touch signs: what is offered goes out, what is signed comes back once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from positions_mcp.desk.answers import body_of, mapping_of, page_of, text_of
from positions_mcp.desk.door import Door
from positions_mcp.desk.passkeys import to_sign
from positions_mcp.desk.sessions import Session
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.guard.touches import Person, Told, Touch

Act = Callable[[dict[str, Any]], Awaitable[object]]
ToTouch = Callable[[dict[str, Any]], Awaitable[Touch]]


def person_at(request: Request, session: Session, body: dict[str, Any]) -> Person:
    """Who is about to touch which of their passkeys, at which of the desk's addresses."""
    return Person(session.name, text_of(body, "passkey"), page_of(request))


def offered(door: Door, request: Request, session: Session, touch: Touch) -> dict[str, Any]:
    """What the browser is to have signed, and the name under which the signature comes back to the same route."""

    async def finish(body: dict[str, Any]) -> Told | None:
        return await touch.finish(mapping_of(body, "assertion"))

    name = session.offers.make(request.url.path, finish, door.desk.clock.now())
    return {"offer": name, "sign": to_sign(touch.statement, touch.passkey)}


async def signed_either_way(
    door: Door, request: Request, session: Session, act: Act, to_touch: ToTouch, *, about: Operation | None = None
) -> Response:
    """With `passphrase` at once; with `passkey` what is to be signed, and then `{offer, assertion}`."""

    async def with_passphrase() -> None:
        await act(await body_of(request))

    if await is_touched(request):
        return await signed_with_touch(door, request, session, to_touch, about=about)
    return await door.with_passphrase(session, with_passphrase, about)


async def signed_with_touch(
    door: Door, request: Request, session: Session, to_touch: ToTouch, *, about: Operation | None = None
) -> Response:
    """What a passkey is to sign, and then what came of it."""

    async def with_touch() -> dict[str, Any]:
        body = await body_of(request)
        if "assertion" not in body:
            return offered(door, request, session, await to_touch(body))
        finish = session.offers.take(text_of(body, "offer"), request.url.path, door.desk.clock.now())
        told = await finish(body)
        return told if isinstance(told, dict) else {}

    return await door.with_touch(with_touch, about)


async def is_touched(request: Request) -> bool:
    """Whether a passkey is to sign, or has signed."""
    try:
        body = await body_of(request)
    except PositionsError:
        return False
    return "assertion" in body or ("passkey" in body and "passphrase" not in body)
