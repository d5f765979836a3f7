"""`/healthz` says that the process lives, `/readyz` whether it should be asked. Nothing secret is in either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from positions_mcp.http_sessions import App, Receive, Scope, Send
from positions_mcp.operating.answering import answer
from positions_mcp.operating.readiness import Readiness

HEALTH, READY = "/healthz", "/readyz"
_RETRY_S = 5


class Health:
    """An ASGI application around all others, for balancers: it needs no token, no name of a host and no store."""

    def __init__(self, app: App, look: Callable[[], Awaitable[Readiness]]) -> None:
        self._app = app
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in (HEALTH, READY):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET only"})
        elif scope["path"] == HEALTH:
            await answer(send, HTTPStatus.OK, {"alive": True})
        else:
            found = await self._look()
            status = HTTPStatus.OK if found.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            await answer(send, status, found.shown, retry_after_s=None if found.is_ready else _RETRY_S)
