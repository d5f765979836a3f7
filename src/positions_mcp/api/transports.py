"""Transports to compose a client with. Importing this module imports the HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx


class InProcessTransport(httpx.AsyncBaseTransport):
    """Calls an ASGI application in this process, and lets it fail the way a network does.

    `failures` maps exceptions that the application raises on purpose to what a client of a real connection would have
    met: `{ConnectionRefused: httpx.ConnectError, ConnectionDropped: httpx.ReadError}`. Any other exception of the
    application counts as a broken connection too, by `PositionsClient`'s own rule.
    """

    def __init__(
        self,
        app: Callable[..., Coroutine[Any, Any, None]],
        failures: Mapping[type[Exception], type[httpx.TransportError]],
    ) -> None:
        self._inner = httpx.ASGITransport(app)
        self._failures = dict(failures)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let the application answer `request`."""
        try:
            return await self._inner.handle_async_request(request)
        except tuple(self._failures) as error:
            kind = next(kind for raised, kind in self._failures.items() if isinstance(error, raised))
            text = str(error)
        raise kind(text, request=request)
