"""Where an issuer has its keys, by its own metadata, and reading them: bounded in time and size, redirected nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from positions_mcp.door.keys import KeysUnavailable

if TYPE_CHECKING:
    import httpx

LONGEST_S = 5.0
"""For a whole answer, however evenly it trickles."""
_LARGEST = 256 * 1024


class Issuer:
    """Reads keys at `jwks_url`, or where the metadata of `issuer` says they are."""

    def __init__(self, issuer: str, jwks_url: str | None = None) -> None:
        self._issuer = issuer
        self._given = self._jwks_url = jwks_url
        self._http: httpx.AsyncClient | None = None

    async def read_keys(self) -> dict[str, Any]:
        """The set of keys, as it is answered. Raises KeysUnavailable."""
        if self._jwks_url is None:
            self._jwks_url = await self._discovered()
        try:
            return await self._read(self._jwks_url)
        except KeysUnavailable:
            self._jwks_url = self._given  # it may have moved
            raise

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _discovered(self) -> str:
        problems = []
        for url in metadata_urls(self._issuer):
            try:
                metadata = await self._read(url)
            except KeysUnavailable as error:
                problems.append(str(error))
                continue
            found = metadata.get("jwks_uri")
            if metadata.get("issuer") != self._issuer:
                problems.append(f"the metadata at {url} is of another issuer")
            elif isinstance(found, str) and is_safe(found, beside=self._issuer):
                return found
            else:
                problems.append(f"the metadata at {url} has no https jwks_uri")
        raise KeysUnavailable("; ".join(problems))

    async def _read(self, url: str) -> dict[str, Any]:
        import httpx

        try:
            with anyio.fail_after(LONGEST_S):
                body = await self._body(url)
            found = json.loads(body)
        except TimeoutError:
            raise KeysUnavailable(f"{url} does not answer within {LONGEST_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KeysUnavailable(f"{url}: {str(error) or type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise KeysUnavailable(f"{url} does not answer JSON") from None
        if not isinstance(found, dict):
            raise KeysUnavailable(f"{url} does not answer an object")
        return found

    async def _body(self, url: str) -> bytes:
        async with self._client().stream("GET", url, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise KeysUnavailable(f"{url} answers {answer.status_code}")
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _LARGEST:
                    raise KeysUnavailable(f"{url} answers too much")
            return body

    def _client(self) -> httpx.AsyncClient:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(timeout=LONGEST_S, follow_redirects=False)
        return self._http


def metadata_urls(issuer: str) -> Iterator[str]:
    """Where an issuer's metadata may be, in the order in which clients look too (RFC 8414, OpenID Connect)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    if path:
        yield f"{origin}/.well-known/openid-configuration{path}"
    yield f"{origin}{path}/.well-known/openid-configuration"


def is_safe(url: str, *, beside: str) -> bool:
    """Whether keys may be read there: over https, or, as only a test's issuer has it, on this machine like `beside`."""
    try:
        there, here = urlsplit(url), urlsplit(beside)
        return bool(there.hostname) and (
            there.scheme == "https" or (there.scheme == here.scheme and there.hostname == here.hostname)
        )
    except ValueError:
        return False
