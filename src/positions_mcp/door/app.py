"""Who comes in, and for what: the application around the server's own, for callers who sign in elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.transport_security import DEFAULT_MAX_REQUEST_BODY_SIZE
from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.asgi import again
from positions_mcp.domain.ids import AccountId
from positions_mcp.door.challenges import Challenges
from positions_mcp.door.keys import KeysUnavailable
from positions_mcp.door.rights import Granted, Right, granted, listens, needed_by, parsed
from positions_mcp.door.tokens import BadToken, Checked, TokenChecker
from positions_mcp.ports import Clock
from positions_mcp.tools._caller import ASKING, CallerToken, signed_in_as
from positions_mcp.tools._caller import Scope as Needed


@dataclass(eq=False, slots=True)
class _Listening:
    ends_at: float
    over: anyio.Event = field(default_factory=anyio.Event)


class Streams:
    """The streams that are open. `sweep` ends those whose time is over; it is called again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: set[_Listening] = set()

    def sweep(self) -> None:
        """End every stream whose token is good no more."""
        now = self._clock.now().timestamp()
        for listening in list(self._open):
            if now >= listening.ends_at:
                listening.over.set()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, ends_at: float) -> None:
        """Answer a request by a stream, at the longest until then, in seconds since 1970."""
        started = finished = False

        async def noted(message: Message) -> None:
            nonlocal started, finished
            started = started or message["type"] == "http.response.start"
            finished = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        async with self._listening(ends_at) as listening:
            await app(scope, _until(listening.over, receive), noted)
            if listening.over.is_set() and started and not finished:
                await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def _listening(self, ends_at: float) -> AsyncIterator[_Listening]:
        listening = _Listening(ends_at)
        self._open.add(listening)
        try:
            yield listening
        finally:
            self._open.discard(listening)


def _until(over: anyio.Event, receive: Receive) -> Receive:
    """What the client sends, until `over`; then that it has gone."""

    async def heard() -> Message:
        message: Message = {"type": "http.disconnect"}

        async def hear() -> None:
            nonlocal message
            message = await receive()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            await over.wait()
            tasks.cancel_scope.cancel()
        return message

    return heard


_SESSION = b"mcp-session-id"
_ASKS = b'"elicitation/create"'
_DATA = b"data:"
_MOST_REMEMBERED = 10_000
"""The answer to an older one is not taken: its person is asked again."""


class Asking:
    """By which rights the questions of each session were asked: a person's answer counts for these and no other ones.

    In the older protocol an answer is a request of its own, with a token of its own: by then its caller may have other
    rights, and the connection may be gone over which was asked. So every question is noted when it goes out.
    """

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[bytes, str], object] = OrderedDict()

    def noting(self, scope: Scope, given: Granted, send: Send) -> Send:
        """What sends the answer to a request, and notes the questions in it. Each is a whole message to the server."""
        session = _session_of(scope)
        if session is None:
            return send

        async def noted(message: Message) -> None:
            body: bytes = message.get("body", b"")
            if _ASKS in body:
                for line in body.splitlines():
                    self._note(session, parsed(line.removeprefix(_DATA)), (given.rights, given.accounts))
            await send(message)

        return noted

    def may_answer(self, scope: Scope, given: Granted, body: bytes) -> bool:
        """Whether a request has no answers in it, or only such as were asked for by the same rights."""
        message, session = parsed(body), _session_of(scope) or b""
        answers = [each for each in (message if isinstance(message, list) else [message]) if _is_answer(each)]
        return all(self._asked.get((session, str(each["id"]))) == (given.rights, given.accounts) for each in answers)

    def _note(self, session: bytes, message: Any, rights: object) -> None:
        if isinstance(message, dict) and "method" in message and "id" in message:
            self._asked[session, str(message["id"])] = rights
            while len(self._asked) > _MOST_REMEMBERED:
                self._asked.popitem(last=False)


def _session_of(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name.lower() == _SESSION), None)


def _is_answer(message: Any) -> bool:
    if not isinstance(message, dict) or "id" not in message:
        return False  # nothing that any question is found by
    return "method" not in message or "result" in message or "error" in message


SERVED_AT = "/mcp"
_LARGEST_OF_A_STRANGER = 64 * 1024


class Door:
    """Lets requests in whose token is good, for what it is good for. Nothing else reaches the application inside."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: TokenChecker,
        rights: Sequence[Right],
        accounts: Collection[AccountId],
        challenges: Challenges,
        streams: Streams,
    ) -> None:
        self._app: ASGIApp = AuthContextMiddleware(app)
        self._tokens = tokens
        self._rights = rights
        self._accounts = frozenset(accounts)
        self._challenges = challenges
        self._streams = streams
        self._asking = Asking()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in self._challenges.metadata_paths:
            await self._challenges.metadata(scope["method"], send)
        elif scope["path"] not in (SERVED_AT, self._challenges.path):
            await self._challenges.not_here(send)
        else:
            await self._let_in({**scope, "path": SERVED_AT, "raw_path": SERVED_AT.encode()}, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        checked = await self._checked(scope, receive, send)
        if checked is None:
            return
        given = granted(self._rights, checked.claims, checked.scopes)
        accounts = given.accounts & self._accounts
        if not accounts:
            await self._challenges.no_rights(send)
            return
        body = await _whole(receive)
        if body is None:
            return
        if len(body) > DEFAULT_MAX_REQUEST_BODY_SIZE:
            await self._challenges.too_much(send)
            return
        needed = needed_by(body)
        if not needed <= given.scopes:
            await self._challenges.more_scopes(send, needed)
            return
        if not self._asking.may_answer(scope, given, body):
            await self._challenges.other_rights(send)
            return
        name = signed_in_as(checked.issuer, checked.subject)
        whose = {"token": "", "client_id": name, "subject": name}
        caller = CallerToken(**whose, scopes=sorted(given.scopes), accounts=accounts, rights=given.rights)
        inside = {**scope, "user": AuthenticatedUser(caller), "auth": AuthCredentials(caller.scopes)}
        whole = again({"type": "http.request", "body": body, "more_body": False}, receive)
        if scope["method"] == "GET" or listens(body):
            await self._streams.serve(self._app, inside, whole, send, ends_at=checked.expires_at)
        else:
            await self._app(inside, whole, self._asking.noting(scope, given, send))

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> Checked | None:
        """What the token of a request says; None where it has none that is good, which is answered."""
        try:
            token = _bearer(scope)
            if token is not None:
                return await self._tokens.check(token)
            await self._challenges.sign_in(send, await self._first_asked(receive))
        except BadToken as error:
            await self._challenges.bad_token(send, str(error))
        except KeysUnavailable:
            await self._challenges.not_now(send)
        return None

    async def _first_asked(self, receive: Receive) -> frozenset[Needed]:
        """What somebody without a token is told to sign in for. Of what strangers send, little is read."""
        if self._challenges.first_is_all:
            return ASKING
        body = await _whole(receive, _LARGEST_OF_A_STRANGER)
        return needed_by(body or b"")


def _bearer(scope: Scope) -> str | None:
    """The token of a request; None where it has none. Raises BadToken where it is not clear which."""
    said: list[bytes] = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if not said:
        return None
    kind, _, token = said[0].decode("latin-1").strip().partition(" ")
    if len(said) > 1:
        raise BadToken("There is more than one token.")
    if kind.lower() != "bearer" or not token.strip():
        return None
    return token.strip()


async def _whole(receive: Receive, limit: int = DEFAULT_MAX_REQUEST_BODY_SIZE) -> bytes | None:
    """The body, or more than is taken of one that is too large; None where the client went away before its end."""
    body = b""
    while len(body) <= limit:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body
