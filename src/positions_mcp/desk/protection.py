"""What every answer and every request of the desk has to keep, before any route is reached.

Requests come for this desk's own name (against DNS rebinding) and, where they change anything, from its own pages.
Answers allow nothing inline, nothing from elsewhere, and no frame around them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.addresses import authority, origin

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD")
_LARGEST_BODY = 64 * 1024


class Protection:
    """ASGI middleware. `origins` are this desk's own, such as `http://localhost:8421`.

    `foreign` is told the path of a request that would have changed something and was refused.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], foreign: Callable[[str], Awaitable[None]]) -> None:
        self._app = app
        self._foreign = foreign
        self._origins = frozenset(map(origin, origins))
        self._scheme = next(iter(origins)).partition("://")[0]
        self._hosts = frozenset(each.partition("://")[2] for each in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        if refusal:
            if scope["method"] not in _SAFE:
                await self._foreign(scope["path"])
            await JSONResponse({"error": refusal}, status_code=403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        hosts = [authority(each, self._scheme) for each in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "This desk goes by another address."
        if method in _SAFE:
            return ""
        is_own = origin(headers.get("origin", "")) in self._origins
        if not is_own or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "This request does not come from the desk's own page."
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return "A request to the desk is JSON."
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            return "A request to the desk states its length, at most 64 KiB."
        return ""
