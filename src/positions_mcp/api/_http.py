"""One HTTP exchange: what came back, or why nothing did and whether anything had left by then.

An exchange answers a value and never raises, so that no exception of the HTTP library, which holds the request with
its headers, ends up in the cause or the context of one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from positions_mcp import __version__
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._logs import REPLACEMENT, KeyFilter
from positions_mcp.domain.errors import ConfigurationError, Sent, UnsafeIdentifier
from positions_mcp.domain.text import clean

if TYPE_CHECKING:
    import ssl

    import httpx

LARGEST_BODY = 32 * 2**20
"""Bytes of a decoded body that are read at most. A page of 1,000 positions has about half a megabyte."""
_SHORTEST_WAIT_S = 0.001
"""Below this nothing could have come, and the caller's own time was over."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request under the base URL. `json` is the body; None sends none."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    json: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: status, decoded body, and the two headers that matter."""

    status: int
    body: bytes
    request_id: str | None
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """No complete answer. `left` says whether any byte of the request left; YES comes with the answer's status."""

    reason: str
    left: Sent
    status: int | None = None
    may_ask_again: bool = True


class Connection:
    """The way to one base URL with one key. Its HTTP clients are made on first use.

    At most so many reads are under way at once, and as many writes; who waits for a place does so within its time-out.
    Reads share kept-alive connections. A write gets a connection of its own, so that a kept-alive one that was
    silently dropped cannot turn it into an unknown outcome; a `transport` or an `http_client` given from outside
    decides that itself, and an `http_client` is closed by who made it.
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
        self._tls: ssl.SSLContext | None = None
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._closed = False
        self._log_filter = KeyFilter(endpoint.key)

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
            UnsafeIdentifier: the HTTP library would send another path than the one asked for.
            ConfigurationError: the environment's proxy settings cannot be used.
        """
        client = None if self._closed else await self._client(fresh=fresh)
        if client is None or client.is_closed:
            return Failure("this client is closed", Sent.NO, may_ask_again=False)
        departure = _Departure(watched=self._transport is None and self._given is None)
        built = self._build(request, timeout_s, departure)
        waiting = True
        try:
            with anyio.fail_after(timeout_s):
                async with self._places[fresh]:
                    waiting = False
                    return await self._send(client, built)
        except Exception as error:
            if waiting:
                return Failure(_over("other requests of this program took more than", timeout_s), Sent.NO)
            nothing_left = departure.excluded or _is_before_sending(error)
            return Failure(self._describe(error, timeout_s), Sent.NO if nothing_left else Sent.UNKNOWN)

    async def aclose(self) -> None:
        """Close the connections. Nothing can be sent afterwards."""
        self._closed = True
        self._log_filter.remove()
        for client in self._clients.values():
            await client.aclose()

    async def _client(self, *, fresh: bool) -> httpx.AsyncClient:
        if self._given is not None:
            self._log_filter.install()
            return self._given
        kind = fresh and self._transport is None
        if (made := self._clients.get(kind)) is not None:
            return made
        async with self._opening:
            if kind not in self._clients:
                self._clients[kind] = await self._open(keep_alive=not kind)
            return self._clients[kind]

    async def _open(self, *, keep_alive: bool) -> httpx.AsyncClient:
        if self._tls is None:
            self._tls = await anyio.to_thread.run_sync(self._prepare)
        import httpx

        from positions_mcp.api._http_client import HttpClient

        self._log_filter.install()
        try:
            return HttpClient(
                verify=self._tls,
                transport=self._transport,
                # A proxy of the environment is for the way out: on this machine it would see the key in clear.
                trust_env=not self._endpoint.is_loopback,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20 if keep_alive else 0),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            reason = clean(str(error))
        raise ConfigurationError(
            f"The proxy settings of the environment cannot be used: {reason}", hint="See HTTPS_PROXY and ALL_PROXY."
        )

    def _prepare(self) -> ssl.SSLContext:
        """Import the HTTP library and load the certificates: together up to a tenth of a second, hence in a thread."""
        import ssl

        import httpx

        if self._transport is None and self._endpoint.base_url.startswith("https:"):
            return httpx.create_ssl_context()
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used: there is no TLS here

    def _build(self, request: Request, timeout_s: float, departure: _Departure) -> httpx.Request:
        """The whole request, of which nothing comes from the settings of an HTTP client, least of all its path."""
        import httpx

        connect_s = min(self._connect_timeout_s, timeout_s)
        extensions: dict[str, Any] = {
            "timeout": {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s},
            "trace": departure.watch,
        }
        query = request.query or {}
        # What is remembered of each page, between its rows, would keep all of their memory.
        address = _parsed if "page_token" in query else _remembered
        url = address(self._endpoint.base_url, request.path, tuple(query.items()))
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": f"Bearer {self._key.get_secret_value()}",
            "User-Agent": f"positions-mcp/{__version__}",
        }
        return httpx.Request(request.method, url, json=request.json, headers=headers, extensions=extensions)

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request) -> Answer | Failure:
        response = await client.send(request, stream=True, auth=None, follow_redirects=False)
        async with aclosing(response):
            chunks, size = [], 0
            async for chunk in response.aiter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_BODY:
                    reason = f"the answer is larger than {LARGEST_BODY // 2**20} MiB"
                    return Failure(reason, Sent.YES, response.status_code, may_ask_again=False)
        headers = response.headers
        return Answer(
            status=response.status_code,
            body=self._without_key(b"".join(chunks)),
            request_id=self._header(headers.get("x-request-id") or headers.get("request-id")),
            retry_after=self._header(headers.get("retry-after")),
        )

    def _header(self, value: str | None) -> str | None:
        return None if value is None else clean(self._without_key(value.encode()).decode())

    def _without_key(self, content: bytes) -> bytes:
        """A server that repeats what it was sent must not bring the key into answers, errors or records."""
        return content.replace(self._key.get_secret_value().encode(), REPLACEMENT.encode())

    def _describe(self, error: Exception, timeout_s: float) -> str:
        detail = clean(self._without_key(str(error).encode(errors="replace")).decode(), 160)
        return _words_for(error, timeout_s).format(detail=f" ({detail})" if detail else "")


def _parsed(base_url: str, path: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    """Where a request goes."""
    import httpx

    url = httpx.URL(base_url + path, params=query or None)
    if not url.raw_path.partition(b"?")[0].endswith(path.encode()):
        raise UnsafeIdentifier("The path of the request would not be the one asked for.")
    return url


_remembered = lru_cache(maxsize=256)(_parsed)
"""The same few are asked again and again."""


class _Departure:
    """Watches the HTTP library work: `excluded` as long as provably no byte of the request has been written."""

    def __init__(self, *, watched: bool) -> None:
        self.excluded = watched

    async def watch(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self.excluded = False


def _is_before_sending(error: Exception) -> bool:
    import httpx

    return isinstance(
        error,
        httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError | httpx.UnsupportedProtocol,
    )


def _over(what: str, timeout_s: float) -> str:
    """`no answer within 3.5 s`; that there was no time where the caller's had run out before the request."""
    return f"{what} {timeout_s:.3g} s" if timeout_s >= _SHORTEST_WAIT_S else "no time was left for it"


def _words_for(error: Exception, timeout_s: float) -> str:
    import httpx

    words: tuple[tuple[type[Exception], str], ...] = (
        (httpx.ConnectTimeout, "connecting took too long"),
        (httpx.PoolTimeout, "no connection became free"),
        (httpx.TimeoutException, _over("no answer within", timeout_s)),
        (TimeoutError, _over("no answer within", timeout_s)),
        (httpx.ConnectError, "no connection could be made{detail}"),
        (httpx.ProxyError, "the proxy refused{detail}"),
        (httpx.NetworkError, "the connection broke before the answer was complete"),
        (httpx.RemoteProtocolError, "the connection ended before the answer was complete"),
        (httpx.DecodingError, "the answer is compressed in a way that cannot be undone"),
    )
    fallback = f"the exchange failed with {type(error).__name__}"
    return next((text for kind, text in words if isinstance(error, kind)), fallback)
