"""The issuer's public keys, read when they are needed and kept through an outage.

Its own metadata say where they are; reading is bounded in time and size, and redirected nowhere.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from jwt import PyJWK, PyJWTError

from positions_mcp.domain.text import clean

if TYPE_CHECKING:
    import httpx

FRESH_S = 300.0
"""How often keys are read again, so that one that its issuer has withdrawn opens nothing any more."""
COOL_DOWN_S = 30.0
"""After a reading, a key that is not known is not asked for again so soon: names of keys are anybody's to invent."""
RETRY_S = 2.0
"""The same while no key has been read at all."""

KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""What a key of each algorithm is. All are of two halves: none that is shared, and none that is no signature."""

_log = logging.getLogger(__name__)

ReadKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the issuer's set of keys. Raises KeysUnavailable."""


class KeysUnavailable(Exception):
    """Keys cannot be read, in words for the log."""


class Keys:
    """The keys of one issuer, by name and algorithm. `now` is in seconds, from any beginning."""

    def __init__(self, read: ReadKeys, algorithms: Collection[str], now: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._algorithms = tuple(algorithms)
        self._now = now
        self._reading = anyio.Lock()
        self._keys: dict[tuple[str, str], PyJWK] | None = None
        self._tried_at = float("-inf")
        self._problem = ""

    @property
    def are_known(self) -> bool:
        """Whether anybody's token can be judged."""
        return self._keys is not None

    @property
    def are_fresh(self) -> bool:
        """Whether the last reading of them went well."""
        return self.are_known and not self._problem

    async def find(self, name: str | None, algorithm: str) -> PyJWK | None:
        """The key of a token; None where the issuer has none such. One without a name is found where it is the only.

        Raises KeysUnavailable where no key has ever been read.
        """
        found = self._known(name, algorithm)
        if found is None:
            await self._read_if_due()
            found = self._known(name, algorithm)
        if not self.are_known:
            raise KeysUnavailable(self._problem)
        return found

    async def refresh(self) -> None:
        """Read the keys now. Where that fails, those that were read stay good, and the log says so once."""
        async with self._reading:
            await self._read_now()

    async def keep_fresh(self) -> None:
        """Read them again and again, until cancelled."""
        while True:
            await self.refresh()
            await anyio.sleep(FRESH_S if self.are_known else RETRY_S)

    async def _read_if_due(self) -> None:
        """Whoever comes while keys are being read waits for that reading."""
        async with self._reading:
            pause = COOL_DOWN_S if self._keys is not None else RETRY_S
            if self._now() - self._tried_at >= pause:
                await self._read_now()

    async def _read_now(self) -> None:
        try:
            found = dict(_usable(await self._read(), self._algorithms))
            problem = "" if found else "it has no key for an algorithm that is allowed"
        except KeysUnavailable as error:
            found, problem = {}, clean(str(error), 400)
        self._tried_at = self._now()
        if found:
            self._keys = found
        elif problem != self._problem:
            _log.warning("The keys of the issuer cannot be read: %s", problem)
        self._problem = problem

    def _known(self, name: str | None, algorithm: str) -> PyJWK | None:
        keys = self._keys or {}
        if name is not None:
            return keys.get((name, algorithm))
        of_it = [key for (_, its), key in keys.items() if its == algorithm]
        return of_it[0] if len(of_it) == 1 else None


def _usable(answered: Mapping[str, Any], algorithms: Collection[str]) -> Iterator[tuple[tuple[str, str], PyJWK]]:
    """The public keys that verify signatures. What is not one is passed over, as the standard says."""
    listed = answered.get("keys")
    if not isinstance(listed, list):
        raise KeysUnavailable("its answer is no set of keys")
    for each in listed:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or "d" in each or not _verifies(each):
            continue
        for algorithm in algorithms:
            kind, curve = KINDS[algorithm]
            fits = each.get("kty") == kind and each.get("alg", algorithm) == algorithm
            if fits and (curve is None or each.get("crv") == curve):
                try:
                    yield (str(each.get("kid", "")), algorithm), PyJWK(each, algorithm)
                except PyJWTError:
                    continue


def _verifies(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops", ["verify"])
    return isinstance(operations, list) and "verify" in operations


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
