"""Which connection is which caller's, as its requests show; and an end to requests that show no token."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.asgi import answer
from positions_mcp.cli.serving.connections import Connected, Connections
from positions_mcp.cli.serving.listening import CONNECTION

_KNOWN = "caller_is_known"
_TOO_MANY_STRANGERS = "Too many requests without a token that is known. Try again in a minute."
_ALL_UNDER_WAY = "This token has as many requests under way as it may. Wait for one to end, or close a client."
_TRY_AGAIN_S = 60


class Callers:
    """Two ASGI applications around the server's own: one before a token is looked at, and one after."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def outside(self, app: ASGIApp) -> ASGIApp:
        """Counts the requests that show no token; after too many in a minute, 429 and the end of the connection."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            refusing = False

            async def send_unless_too_many(message: Message) -> None:
                nonlocal refusing
                if message["type"] == "http.response.start" and not scope["state"].get(_KNOWN):
                    refusing = not self._connections.refused(_connection(scope), (scope.get("client") or ("", 0))[0])
                    if refusing:
                        await _refuse(send, _TOO_MANY_STRANGERS)
                if not refusing:
                    await send(message)

            await app(scope, receive, send_unless_too_many)

        return counted

    def inside(self, app: ASGIApp) -> ASGIApp:
        """Notes whose connection it is; 429 where all the connections that a caller may have are being answered."""

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][_KNOWN] = True
            if self._connections.belongs_to(_connection(scope), scope["user"].username):
                await app(scope, receive, send)
            else:
                await _refuse(send, _ALL_UNDER_WAY)

        return noted


def _connection(scope: Scope) -> Connected:
    connection: Connected = scope["state"][CONNECTION]
    return connection


async def _refuse(send: Send, words: str) -> None:
    retry = ("retry-after", str(_TRY_AGAIN_S))
    too_many, kind = HTTPStatus.TOO_MANY_REQUESTS, "text/plain; charset=utf-8"
    await answer(send, too_many, f"{words}\n".encode(), retry, ("connection", "close"), kind=kind)
