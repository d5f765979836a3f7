"""To the API as `httpx` goes: through a proxy, or by a client or a transport that was given."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import httpx

from positions_mcp.api import _exchange
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._exchange import (
    BROKE,
    ENDED,
    NOT_DECODED,
    NOT_IN_TIME,
    NOT_MADE,
    Departure,
    Received,
    Request,
    TooLarge,
    Unanswered,
)
from positions_mcp.api._logs import KeyFilter
from positions_mcp.domain.errors import ConfigurationError, UnsafeIdentifier
from positions_mcp.domain.text import clean

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, NOT_IN_TIME),
    (httpx.PoolTimeout, "no connection became free"),
    (httpx.ConnectError, NOT_MADE),
    (httpx.ProxyError, "the proxy refused"),
    (httpx.NetworkError, BROKE),
    (httpx.RemoteProtocolError, ENDED),
    (httpx.DecodingError, NOT_DECODED),
)
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_WITH_DETAIL = (httpx.ConnectError, httpx.ProxyError)


class ByHttpx:
    """Implements `Way`.

    A `transport` or a `client` that was given decides about connections itself; the client is closed by who made it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tls: ssl.SSLContext | None,
        connect_timeout_s: float,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """Raises ConfigurationError where the environment's proxy settings cannot be used."""
        self._endpoint = endpoint
        self._connect_timeout_s = connect_timeout_s
        self._is_watched = transport is None and client is None
        self._is_own = client is None
        self._log_filter = KeyFilter(endpoint.key)
        self._log_filter.install()
        try:
            self._client = client or _client(endpoint, tls, transport)
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            reason = clean(str(error))
        else:
            return
        self._log_filter.remove()
        raise ConfigurationError(
            f"The proxy settings of the environment cannot be used: {reason}", hint="See HTTPS_PROXY and ALL_PROXY."
        )

    @property
    def is_closed(self) -> bool:
        """Whether its client is."""
        return self._client.is_closed

    async def aclose(self) -> None:
        """Close the client, where it was made here."""
        self._log_filter.remove()
        if self._is_own:
            await self._client.aclose()

    async def send(self, request: Request, departure: Departure, *, timeout_s: float, fresh: bool) -> Received:  # noqa: ARG002 — all are
        """As `Way.send`; over a proxy on a new connection each time."""
        departure.excluded = self._is_watched
        built = self._built(request, timeout_s, departure)
        try:
            response = await self._client.send(built, stream=True, auth=None, follow_redirects=False)
            return await _received(response)
        except (httpx.TransportError, httpx.DecodingError) as error:
            if isinstance(error, httpx.TimeoutException) and not isinstance(error, _BEFORE_SENDING):
                raise TimeoutError from None
            raise _unanswered(error) from None

    def _built(self, request: Request, timeout_s: float, departure: Departure) -> httpx.Request:
        """The whole request, of which nothing comes from the settings of an HTTP client, least of all its path."""

        async def watch(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
                departure.excluded = False

        connect_s = min(self._connect_timeout_s, timeout_s)
        limits = {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s}
        url = httpx.URL(self._endpoint.base_url + request.path, params=dict(request.query or {}) or None)
        if not url.raw_path.partition(b"?")[0].endswith(request.path.encode()):
            raise UnsafeIdentifier("The path of the request would not be the one asked for.")
        return httpx.Request(
            request.method,
            url,
            content=request.body,
            headers=request.headers(self._endpoint),
            extensions={"timeout": limits, "trace": watch},
        )


class _HttpClient(httpx.AsyncClient):
    """Looks for no cookies in what it receives: it sends none, and of every page that would leave traces in memory."""

    @property
    def cookies(self) -> httpx.Cookies:
        """None, ever."""
        return _NoCookies()

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise TypeError("this client keeps no cookies")


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Nothing."""


def _client(
    endpoint: Endpoint, tls: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    return _HttpClient(
        # Where there is none, there is no TLS: such a one trusts nobody.
        verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        transport=transport,
        # A proxy of the environment is for the way out: on this machine it would see the key in clear.
        trust_env=not endpoint.is_loopback,
        # It would take what came unasked behind one answer for the next one: no connection is used twice.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )


async def _received(response: httpx.Response) -> Received:
    async with aclosing(response):
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > _exchange.LARGEST_BODY:
                raise TooLarge(response.status_code)
    return Received(response.status_code, response.headers, b"".join(chunks))


def _unanswered(error: Exception) -> Unanswered:
    fallback = f"the exchange failed with {type(error).__name__}"
    words = next((text for kind, text in _WORDS if isinstance(error, kind)), fallback)
    detail = str(error) if isinstance(error, _WITH_DETAIL) else ""
    return Unanswered(words, detail, nothing_left=isinstance(error, _BEFORE_SENDING))
