"""Requests of one client over several replicas, as a balancer without affinity sends them: each to the next one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx2

SESSION = "mcp-session-id"


@dataclass
class Rotation(httpx2.AsyncBaseTransport):
    """Sends each request to the next replica that is up. With `affinity`, those of a session to the one that opened it.

    Like a balancer, it goes on to another replica only where it could not connect at all.
    """

    up: Callable[[], Sequence[int]]
    """The ports of the replicas that a balancer believes to be ready."""
    first: int = 0
    affinity: bool = False
    inner: httpx2.AsyncHTTPTransport = field(default_factory=httpx2.AsyncHTTPTransport)
    seen: list[int] = field(default_factory=list)
    """Which replica each request went to."""

    def __post_init__(self) -> None:
        self._turn = itertools.count(self.first)
        self._of_session: dict[str, int] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        session = request.headers.get(SESSION, "")
        ports = list(self.up())
        turn = next(self._turn)
        order = [ports[(turn + step) % len(ports)] for step in range(len(ports))] or [0]
        if self.affinity and session in self._of_session:
            order = [self._of_session[session], *order]
        for port in order:
            request.url = request.url.copy_with(host="127.0.0.1", port=port)
            request.headers["host"] = f"127.0.0.1:{port}"
            self.seen.append(port)
            try:
                response = await self.inner.handle_async_request(request)
            except httpx2.ConnectError:
                if port == order[-1]:
                    raise
                continue
            if opened := response.headers.get(SESSION):
                self._of_session[opened] = port
            return response
        raise AssertionError("there is always an order")

    async def aclose(self) -> None:
        await self.inner.aclose()
