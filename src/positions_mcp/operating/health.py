"""`/healthz` says that the process lives, `/readyz` whether it should be asked. Nothing secret is in either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from positions_mcp.asgi import NOT_KEPT, answer_json
from positions_mcp.operating.readiness import Readiness

HEALTH, READY = "/healthz", "/readyz"
_RETRY_S = 5


class Health:
    """An ASGI application around all others, for balancers: it needs no token, no name of a host and no store."""

    def __init__(self, app: ASGIApp, look: Callable[[], Awaitable[Readiness]]) -> None:
        self._app = app
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in (HEALTH, READY):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer_json(send, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET only"}, *NOT_KEPT)
        elif scope["path"] == HEALTH:
            await answer_json(send, HTTPStatus.OK, {"alive": True}, *NOT_KEPT)
        else:
            found = await self._look()
            status = HTTPStatus.OK if found.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            again_in = () if found.is_ready else (("retry-after", str(_RETRY_S)),)
            await answer_json(send, status, found.shown, *NOT_KEPT, *again_in)
