"""Whether a token is good: signed by the issuer, for this server, now. Nothing of a token is logged or repeated."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jwt import PyJWS, PyJWTError

from positions_mcp.door.keys import Keys
from positions_mcp.ports import Clock

_LONGEST = 16 * 1024
_LONGEST_SUBJECT = 1024
_LATEST = 1e12
"""Seconds since 1970: a time after it, or one that is no number, is none."""
_TYPES = {"at+jwt", "application/at+jwt", "jwt"}
"""What an access token says that it is, where it says so; RFC 9068 has the first two, many issuers write the third."""


class BadToken(Exception):
    """A token that opens nothing, with the reason in words that repeat nothing of it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a good token says."""

    issuer: str
    subject: str
    scopes: frozenset[str]
    expires_at: float
    """In seconds since 1970, after which it is good no more; the leeway is in it."""
    claims: Mapping[str, Any]


class TokenChecker:
    """Checks tokens of one issuer for one audience, by asymmetric signatures of the algorithms that are allowed."""

    def __init__(
        self, keys: Keys, *, issuer: str, audience: str, algorithms: Collection[str], leeway: timedelta, clock: Clock
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._algorithms = tuple(algorithms)
        self._leeway_s = leeway.total_seconds()
        self._clock = clock
        self._signatures = PyJWS(algorithms=list(self._algorithms), options={"enforce_minimum_key_length": True})

    async def check(self, token: str) -> Checked:
        """What the token says.

        Raises BadToken where it is not good for this server; KeysUnavailable where no key of the issuer could be read
        yet.
        """
        if len(token) > _LONGEST:
            raise BadToken("The token is too long.")
        header = self._header(token)
        algorithm, name = header["alg"], header.get("kid")
        key = await self._keys.find(name, algorithm)
        if key is None:
            raise BadToken("The issuer has no such key.")
        try:
            signed = self._signatures.decode_complete(token, key, algorithms=[algorithm])
            claims = json.loads(signed["payload"], object_pairs_hook=_once)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise BadToken("The signature is not the issuer's.") from None
        return self._checked(claims)

    def _header(self, token: str) -> Mapping[str, Any]:
        """The part that is not secret and proves nothing. Where keys are is never taken from it."""
        try:
            header = self._signatures.get_unverified_header(token)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise BadToken("This is not a signed token.") from None
        if header.get("alg") not in self._algorithms:
            raise BadToken("The token is signed in a way that is not allowed here.")
        if "crit" in header or header.get("b64", True) is not True:
            raise BadToken("The token asks for something that is not understood here.")
        kind = header.get("typ", "jwt")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise BadToken("The token is not for access.")
        return header

    def _checked(self, claims: Any) -> Checked:
        if not isinstance(claims, dict):
            raise BadToken("The token says nothing that can be read.")
        if claims.get("iss") != self._issuer:
            raise BadToken("The token is of another issuer.")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise BadToken("The token is for another server.")
        if "cnf" in claims:
            raise BadToken("The token is bound to a key that its bearer has not shown.")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.strip():
            raise BadToken("The token names no subject.")
        return Checked(self._issuer, subject, _scopes(claims), self._end(claims), claims)

    def _end(self, claims: Mapping[str, Any]) -> float:
        now = self._clock.now().timestamp()
        end = _seconds(claims, "exp")
        if end is None:
            raise BadToken("The token has no end.")
        if now >= end + self._leeway_s:
            raise BadToken("The token has expired.")
        for name in ("nbf", "iat"):
            begin = _seconds(claims, name)
            if begin is not None and now < begin - self._leeway_s:
                raise BadToken("The token is not good yet.")
        return end + self._leeway_s


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise BadToken("The token has a time that is none.")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """As RFC 9068 writes them, in one text; some issuers write a list, or call them `scp`."""
    said = claims["scope"] if "scope" in claims else claims.get("scp", "")
    if isinstance(said, str):
        return frozenset(said.split())
    if isinstance(said, list) and all(isinstance(each, str) for each in said):
        return frozenset(said)
    raise BadToken("The token has scopes that cannot be read.")
