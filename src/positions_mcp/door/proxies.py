"""Behind a proxy: what is said of a request is believed from proxies that a person has named, from nobody else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from positions_mcp.asgi import answer_json

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"forwarded")
_WITH_PORT = re.compile(r"\[([^\[\]]+)\](?::\d+)?|([^\s:]+):\d+", re.ASCII)
_PROTO = re.compile(r'(?i)(?:^|;)\s*proto\s*=\s*"?(?!https\b)([^";\s]*)')
"""In a header `Forwarded`, any other than https."""
_TLS = {"", "https"}
_ELSEWHERE = "This server answers its proxy only. Use its public address."
_IN_CLEAR = "Use https."


class Proxies:
    """An ASGI application around all others: it knows where a request comes from and by which name it was asked for."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 403 where it has not come through a trusted proxy, and over https to there."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._is_trusted((scope.get("client") or ("", 0))[0]):
            await _refuse(send, _ELSEWHERE)
        elif not {_last(scope, b"x-forwarded-proto").lower(), *_PROTO.findall(_last(scope, b"forwarded"))} <= _TLS:
            await _refuse(send, _IN_CLEAR)
        else:
            await self._app(self._as_it_was(scope), receive, send)

    def _as_it_was(self, scope: Scope) -> Scope:
        """The request as the proxy has got it."""
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _FORWARDED]
        if asked_for := _last(scope, b"x-forwarded-host"):
            headers = [(name, value) for name, value in headers if name.lower() != b"host"]
            headers.append((b"host", asked_for.encode("latin-1")))
        return {**scope, "headers": headers, "client": (self._client(scope), 0), "scheme": "https"}

    def _client(self, scope: Scope) -> str:
        """Who is before the first trusted proxy, read from the end: the beginning is anybody's to write."""
        said = [_without_port(each.strip()) for each in _all(scope, b"x-forwarded-for").split(",") if each.strip()]
        for address in reversed(said):
            if not self._is_trusted(address):
                return address[:64]
        return str(scope["client"][0])

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(each in network for network in self._trusted for each in (found, mapped))


def _without_port(address: str) -> str:
    """An address alone: some proxies write the port of the client too, which is another one each time."""
    found = _WITH_PORT.fullmatch(address)
    return found[1] or found[2] if found else address


def _all(scope: Scope, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)


def _last(scope: Scope, name: bytes) -> str:
    """What the proxy nearest to this server has added."""
    return _all(scope, name).rpartition(",")[2].strip()


async def _refuse(send: Send, why: str) -> None:
    await answer_json(send, HTTPStatus.FORBIDDEN, {"error": "access_denied", "error_description": why})
