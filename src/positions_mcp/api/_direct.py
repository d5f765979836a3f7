"""Straight to the API, without a proxy: `anyio` connects, `httptools` reads.

Nine of ten requests of a close are small reads. An HTTP library for every purpose takes four times as long for each as
the rest of the exchange does: a third of what a close costs.
"""

from __future__ import annotations

import re
import select
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode, urlsplit

import anyio
import anyio.abc
from anyio.streams.tls import TLSAttribute

from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._exchange import (
    BROKE,
    CLOSED,
    NOT_IN_TIME,
    NOT_MADE,
    Departure,
    Received,
    Request,
    Unanswered,
)
from positions_mcp.api._incoming import Incoming
from positions_mcp.domain.errors import UnsafeIdentifier

_AT_A_TIME = 2**18
_MOST_KEPT = 20
_KEPT_S = 5.0
"""A connection that was idle for longer is not used again: who answers may be about to close it."""
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+")
"""Segments that nobody on the way shortens, decodes or divides."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Direct:
    """Implements `Way` with connections to one host. `tls` is needed where the base URL is https."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None, connect_timeout_s: float) -> None:
        parts = urlsplit(endpoint.base_url)
        self._endpoint = endpoint
        host = parts.hostname or ""
        self._host = host if host.isascii() else host.encode("idna").decode()
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        named = f"[{self._host}]" if ":" in self._host else self._host
        self._authority = named if self._port == _DEFAULT_PORTS[parts.scheme] else f"{named}:{self._port}"
        self._prefix = quote(parts.path, safe="/:@!$&'()*+,;=~")
        self._tls = tls if parts.scheme == "https" else None
        self._connect_timeout_s = connect_timeout_s
        self._idle: list[_Connection] = []
        self.is_closed = False

    async def send(self, request: Request, departure: Departure, *, timeout_s: float, fresh: bool) -> Received:
        """As `Way.send`."""
        content = self._written(request)
        async with self._connection(timeout_s, fresh=fresh) as connection:
            if self.is_closed:
                raise Unanswered(CLOSED)
            departure.excluded = False
            try:
                await connection.stream.send(content)
                return await connection.receive()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                raise Unanswered(BROKE) from None

    async def aclose(self) -> None:
        """Close the connections. One in use is closed by whoever uses it."""
        self.is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _written(self, request: Request) -> bytes:
        if not _PATH.fullmatch(request.path):
            raise UnsafeIdentifier("The path of the request would not be the one asked for.")
        query, body = f"?{urlencode(request.query)}" if request.query else "", request.body
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers(self._endpoint).items())
        target = f"{self._prefix}{request.path}{query}"
        head = f"{request.method} {target} HTTP/1.1\r\nHost: {self._authority}\r\n{lines}{length}\r\n"
        return head.encode("ascii") + (body or b"")

    @asynccontextmanager
    async def _connection(self, timeout_s: float, *, fresh: bool) -> AsyncIterator[_Connection]:
        """A connection for one exchange; it is kept where the exchange leaves it usable, and is wanted."""
        kept = None if fresh else await self._kept()
        connection = kept or await self._connect(min(self._connect_timeout_s, timeout_s))
        is_usable = False
        try:
            yield connection
            is_usable = connection.may_be_used_again and not (fresh or self.is_closed)
        finally:
            if is_usable and len(self._idle) < _MOST_KEPT:
                connection.idle_since = anyio.current_time()
                self._idle.append(connection)
            else:
                await connection.aclose()

    async def _kept(self) -> _Connection | None:
        """The one used last of those that are still usable."""
        long_ago = anyio.current_time() - _KEPT_S
        while self._idle and self._idle[0].idle_since < long_ago:
            await self._idle.pop(0).aclose()
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_ended():
                return connection
            await connection.aclose()
        return None

    async def _connect(self, within_s: float) -> _Connection:
        try:
            with anyio.fail_after(within_s):
                if self._tls is None:
                    return _Connection(await anyio.connect_tcp(self._host, self._port))
                return _Connection(
                    await anyio.connect_tcp(
                        self._host,
                        self._port,
                        ssl_context=self._tls,
                        tls_standard_compatible=False,
                        tls_hostname=self._host,
                    )
                )
        except TimeoutError:
            raise Unanswered(NOT_IN_TIME) from None
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise Unanswered(NOT_MADE, str(error)) from None


class _Connection:
    """One connection, which carries one exchange at a time."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.stream = stream
        self.may_be_used_again = False
        self.idle_since = 0.0
        self._descriptor: int = stream.extra(anyio.abc.SocketAttribute.raw_socket).fileno()  # noqa: S610 — no Django
        self._tls = stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 — no Django

    async def receive(self) -> Received:
        """The answer to what was sent. Raises as `Way.send`."""
        incoming, self.may_be_used_again = Incoming(), False
        try:
            while not incoming.is_complete:
                try:
                    content = await self.stream.receive(_AT_A_TIME)
                except anyio.EndOfStream:
                    incoming.end()
                else:
                    incoming.feed(content)
            self.may_be_used_again = incoming.may_be_followed and not self._has_more_decrypted()
            return incoming.received()
        finally:
            incoming.close()

    def _has_more_decrypted(self) -> bool:
        """Whether more than the answer came in what TLS has taken from the socket, where no poll sees it."""
        try:
            return self._tls is not None and self._tls.read(1) is not None
        except ssl.SSLError as error:
            return not isinstance(error, ssl.SSLWantReadError)

    def has_ended(self) -> bool:
        """Whether the other side has closed it while it was idle, or sent what nobody asked for."""
        if sys.platform == "win32":
            return bool(select.select([self._descriptor], [], [], 0)[0])
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    async def aclose(self) -> None:
        """Close it, without waiting for the other side."""
        await anyio.aclose_forcefully(self.stream)
