"""The connection to the API: every exchange within its time, none that raises what an HTTP library would.

An exchange answers a value and never raises, so that no exception of the HTTP library, which holds the request with
its headers, ends up in the cause or the context of one of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._exchange import (
    CLOSED,
    Answer,
    Departure,
    Failure,
    Received,
    Request,
    TooLarge,
    Unanswered,
    Way,
)
from positions_mcp.api._logs import REPLACEMENT
from positions_mcp.domain.errors import ConfigurationError, Sent, UnsafeIdentifier
from positions_mcp.domain.text import clean

if TYPE_CHECKING:
    import ssl

    import httpx

_SHORTEST_WAIT_S = 0.001
"""Below this nothing could have come, and the caller's own time was over."""


class Connection:
    """The way to one base URL with one key. It is opened on first use.

    At most so many reads are under way at once, and as many writes; who waits for a place does so within its time-out.
    Reads share kept-alive connections, but through a proxy. A write gets a connection of its own, so that a kept-alive
    one that was silently dropped cannot turn it into an unknown outcome; a `transport` or an `http_client` given from
    outside decides that itself, and an `http_client` is closed by who made it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout_s: float,
        most_at_once: int,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        keep: Callable[[Request, Answer | Failure], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._key = endpoint.key
        self._connect_timeout_s = connect_timeout_s
        self._transport = transport
        self._given = http_client
        self._keep = keep
        self._opening = anyio.Lock(fast_acquire=True)
        # Writes have places of their own: what a person approved never waits for what somebody reads.
        self._places = {is_write: anyio.Semaphore(most_at_once, fast_acquire=True) for is_write in (False, True)}
        self._way: Way | None = None
        self._closed = False

    async def exchange(self, request: Request, *, timeout_s: float, fresh: bool = False) -> Answer | Failure:
        """What `_exchange` does, and a note of it where somebody keeps one."""
        outcome = await self._exchange(request, timeout_s=timeout_s, fresh=fresh)
        if self._keep is not None:
            self._keep(request, outcome)
        return outcome

    async def _exchange(self, request: Request, *, timeout_s: float, fresh: bool) -> Answer | Failure:
        """Send `request` once and read the answer wholly, within `timeout_s` seconds; `fresh` on a new connection.

        Cancellation passes through: the caller then knows no more than that the request may have left.

        Raises:
            UnsafeIdentifier: another path than the one asked for would be sent.
            ConfigurationError: the environment's proxy settings cannot be used.
        """
        way = None if self._closed else self._way or await self._open()
        if way is None or way.is_closed or self._closed:
            return Failure(CLOSED, Sent.NO, may_ask_again=False)
        departure = Departure()
        waiting = True
        try:
            with anyio.fail_after(timeout_s):
                async with self._places[fresh]:
                    waiting = False
                    received = await way.send(request, departure, timeout_s=timeout_s, fresh=fresh)
            return self._answer(received)
        except (UnsafeIdentifier, ConfigurationError):
            raise
        except TooLarge as error:
            return Failure(str(error), Sent.YES, error.status, may_ask_again=False)
        except Exception as error:
            if waiting:
                return Failure(_over("other requests of this program took more than", timeout_s), Sent.NO)
            nothing_left = departure.excluded or (isinstance(error, Unanswered) and error.nothing_left)
            return Failure(self._describe(error, timeout_s), Sent.NO if nothing_left else Sent.UNKNOWN)

    async def aclose(self) -> None:
        """Close the connections. Nothing can be sent afterwards."""
        self._closed = True
        if self._way is not None:
            await self._way.aclose()

    async def _open(self) -> Way:
        async with self._opening:
            if self._way is None:
                # Importing what it needs and loading certificates take up to a tenth of a second.
                self._way = await anyio.to_thread.run_sync(self._chosen)
            if self._closed:
                await self._way.aclose()
            return self._way

    def _chosen(self) -> Way:
        transport, client, connect_s = self._transport, self._given, self._connect_timeout_s
        is_ours = transport is None and client is None
        tls = trusting_certificates() if is_ours and self._endpoint.base_url.startswith("https:") else None
        if is_ours and not self._may_need_a_proxy():
            from positions_mcp.api._direct import Direct

            return Direct(self._endpoint, tls, connect_s)
        from positions_mcp.api._by_httpx import ByHttpx

        return ByHttpx(self._endpoint, tls, connect_s, transport=transport, client=client)

    def _may_need_a_proxy(self) -> bool:
        """Whether the environment names a proxy. One for this machine would see the key in clear, and is not asked."""
        from urllib.request import getproxies

        proxies = {} if self._endpoint.is_loopback else getproxies()
        return any(proxies.get(scheme) for scheme in ("http", "https", "all"))

    def _answer(self, received: Received) -> Answer:
        headers = received.headers
        return Answer(
            status=received.status,
            body=self._without_key(received.body),
            request_id=self._header(headers.get("x-request-id") or headers.get("request-id")),
            retry_after=self._header(headers.get("retry-after")),
        )

    def _header(self, value: str | None) -> str | None:
        return None if value is None else clean(self._without_key(value.encode()).decode())

    def _without_key(self, content: bytes) -> bytes:
        """A server that repeats what it was sent must not bring the key into answers, errors or records."""
        return content.replace(self._key.get_secret_value().encode(), REPLACEMENT.encode())

    def _describe(self, error: Exception, timeout_s: float) -> str:
        if isinstance(error, TimeoutError):
            return _over("no answer within", timeout_s)
        if not isinstance(error, Unanswered):
            return f"the exchange failed with {type(error).__name__}"
        detail = clean(self._without_key(error.detail.encode(errors="replace")).decode(), 160)
        return f"{error.reason} ({detail})" if detail else error.reason


def trusting_certificates() -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE or SSL_CERT_DIR names, or else the well-known authorities. Blocking."""
    import ssl

    import certifi

    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        file = certifi.where()
    context = ssl.create_default_context(cafile=file or None, capath=None if file else folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _over(what: str, timeout_s: float) -> str:
    """`no answer within 3.5 s`; that there was no time where the caller's had run out before the request."""
    return f"{what} {timeout_s:.3g} s" if timeout_s >= _SHORTEST_WAIT_S else "no time was left for it"
