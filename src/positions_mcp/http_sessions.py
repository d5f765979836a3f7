"""How many MCP sessions one caller may have over HTTP, so that none of them leaves no room for another's.

The era of 2026 has no sessions: its requests pass. What a caller has open there are connections, counted elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.addresses import authority, origin
from positions_mcp.asgi import again, refuse
from positions_mcp.in_flight import answered

MOST_SESSIONS = 200
_REFUSED = 400
_NOT_FOUND = 404
_OF_THE_ADDRESS = (b"host", b"origin")
_OF_THE_CALLER = ("type", "http_version", "scheme", "path", "query_string", "client", "server", "user")


@dataclass(slots=True, eq=False)
class _Session:
    """One session that a caller has opened."""

    caller: str
    ending: Scope
    """The request by which its caller would end it."""
    under_way: int = 1
    """Requests that are being answered, a stream of updates among them."""


def sessions_of(app: ASGIApp, per_caller: int) -> CallerSessions | SingleRequests:
    """What stands around the SDK's own application, which keeps sessions where a caller may have some."""
    return CallerSessions(app, per_caller=per_caller) if per_caller else SingleRequests(app)


class SingleRequests:
    """An ASGI application for requests that stand alone in both eras, so that any server answers any of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._app(scope, receive, send)
        else:
            await refuse(send, 405, "This server keeps no sessions: it takes POST only.", ("allow", "POST"))

    async def end(self) -> None:
        """Nothing has to be ended."""


class CallerSessions:
    """An ASGI application around the SDK's own, for requests whose caller is known and whose body is whole.

    A new session of a caller who has `per_caller` ends the one that this caller has left alone for longest. Where
    requests of all of them are under way, the new one is refused. Where there are too many of all callers, the one ends
    that a caller with most sessions has left alone for longest.
    """

    def __init__(self, app: ASGIApp, *, per_caller: int) -> None:
        self._app = app
        self._per_caller = per_caller
        self._most = MOST_SESSIONS
        self._sessions: dict[str, _Session] = {}
        """By id, the one used last at the end."""
        self._opening: list[str] = []
        """The callers of requests that may yet open one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: str = scope["user"].username
        session_id = _header(scope, MCP_SESSION_ID_HEADER)
        message = await receive()
        if message["type"] != "http.request" or message.get("more_body"):
            return  # the client went away before the end of its request
        sent = again(message, receive)
        if session_id is not None:
            await self._use(session_id, caller, scope, sent, send)
        elif _may_open(scope):
            await self._open(caller, scope, sent, send)
        else:
            await self._app(scope, sent, send)

    async def _use(self, session_id: str, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller:
            await self._app(scope, receive, send)
            return
        session.under_way += 1

        async def forget_if_gone(message: Message) -> None:
            if message["type"] == "http.response.start" and (
                message["status"] == _NOT_FOUND or (scope["method"] == "DELETE" and message["status"] < _REFUSED)
            ):
                self._sessions.pop(session_id, None)
            await send(message)

        try:
            await self._app(scope, receive, forget_if_gone)
        finally:
            answered(scope).set()
            self._leave(session_id, session)

    async def _open(self, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        if why := self._no_room_for(caller):
            await refuse(send, *why, ("retry-after", "60"))
            return
        self._opening.append(caller)
        opened: tuple[str, _Session] | None = None

        async def note(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start" and message["status"] < _REFUSED:
                session_id = _header(message, MCP_SESSION_ID_HEADER)
                if session_id is not None and opened is None:
                    opened = session_id, _Session(caller, _ending(scope, session_id))
                    self._opening.remove(caller)
                    self._sessions[session_id] = opened[1]
                    await self._make_room(caller)
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            if opened is None:
                self._opening.remove(caller)
            else:
                self._leave(*opened)

    def _leave(self, session_id: str, session: _Session) -> None:
        """A request is answered: the session is the one used last."""
        session.under_way -= 1
        if self._sessions.pop(session_id, None):
            self._sessions[session_id] = session

    def _no_room_for(self, caller: str) -> tuple[int, str] | None:
        busy = [session.caller for session in self._sessions.values() if session.under_way]
        if busy.count(caller) + self._opening.count(caller) >= self._per_caller:
            return 429, (
                f"This token has {self._per_caller} sessions with requests under way, and may have no more. End one "
                "(DELETE with its Mcp-Session-Id), or close a client."
            )
        if len(busy) + len(self._opening) >= self._most:
            return 503, f"All {self._most} sessions of this server have requests under way. Try again in a minute."
        return None

    async def _make_room(self, caller: str) -> None:
        while self._held()[caller] > self._per_caller and (found := self._left_alone(caller)):
            await self._end(found)
        while len(self._sessions) > self._most:
            callers = (each for each, _ in self._held().most_common())
            if not (found := next(filter(None, map(self._left_alone, callers)), None)):
                return
            await self._end(found)

    def _held(self) -> Counter[str]:
        return Counter(session.caller for session in self._sessions.values())

    def _left_alone(self, caller: str) -> str | None:
        return next((key for key, each in self._sessions.items() if each.caller == caller and not each.under_way), None)

    async def end(self) -> None:
        """End every session. The SDK would wait for seconds for the clients of those that wait for an answer."""
        for session_id in list(self._sessions):
            await self._end(session_id)

    async def _end(self, session_id: str) -> None:
        await self._app(self._sessions.pop(session_id).ending, _nothing, _unheard)


def respelled(app: ASGIApp, address: str) -> ASGIApp:
    """Around what compares Host and Origin letter by letter, for a server that goes by `address`."""
    scheme = address.partition("://")[0]
    spell = {b"host": lambda text: authority(text, scheme), b"origin": origin}

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (name, spell[name](value.decode("latin-1")).encode("latin-1") if name in spell else value)
            for name, value in scope["headers"]
        ]
        await app({**scope, "headers": headers}, receive, send)

    return inside


@asynccontextmanager
async def ended_with(
    running: AbstractAsyncContextManager[None], end: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """While that runs; `end` comes before its end."""
    async with running:
        try:
            yield
        finally:
            await end()


def _ending(opening: Scope, session_id: str) -> Scope:
    addressed = [(name, value) for name, value in opening["headers"] if name in _OF_THE_ADDRESS]
    headers = [*addressed, (MCP_SESSION_ID_HEADER.encode(), session_id.encode())]
    return {**{key: opening[key] for key in _OF_THE_CALLER}, "method": "DELETE", "headers": headers}


def _may_open(scope: Scope) -> bool:
    """Whether a request without a session may begin one: the SDK's own rule."""
    version = _header(scope, MCP_PROTOCOL_VERSION_HEADER)
    return scope["method"] == "POST" and (version is None or version in HANDSHAKE_PROTOCOL_VERSIONS)


def _header(message: Message, name: str) -> str | None:
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in message["headers"] if key.lower() == wanted), None)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    del message
