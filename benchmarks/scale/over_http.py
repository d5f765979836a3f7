"""Servers over HTTP, and callers of them: each in a session and with a connection of its own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import httpx
from benchmarks.processes import HERE, KEY, POSITIONS_MCP, Upstream, environment

_PROTOCOL = "2025-06-18"
_NO_LIMITS = {"POSITIONS_MCP_HTTP__MAX_REQUESTS_PER_MINUTE": "none"}
"""Of one caller: here it asks as fast as it is answered."""


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server that listens, and the process that it is."""

    url: str
    pid: int


class Caller:
    """One caller's session, over a connection that is kept."""

    def __init__(self, url: str, token: str = "") -> None:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        said = {"Accept": "application/json, text/event-stream", **authorization}
        self._url = url
        # A server gives up a connection that is idle for five seconds: it is given up here before.
        kept = httpx.Limits(keepalive_expiry=2)
        self._http = httpx.AsyncClient(headers=said, timeout=120, trust_env=False, limits=kept)

    async def __aenter__(self) -> Self:
        client = {"name": "benchmarks", "version": "1"}
        hello = {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": client}
        opened = await self._http.post(self._url, json=_request("initialize", hello))
        self._http.headers["Mcp-Session-Id"] = opened.raise_for_status().headers["mcp-session-id"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def request(self, method: str, **params: Any) -> float:
        """The seconds that a request takes. Raises RuntimeError where it is answered an error."""
        begin = perf_counter()
        answer = await self._http.post(self._url, json=_request(method, params))
        taken = perf_counter() - begin
        if b'"result"' not in answer.raise_for_status().content or b'"isError":true' in answer.content:
            raise RuntimeError(f"{method} {params} answered {answer.text[:300]}")
        return taken

    async def call(self, tool: str, **arguments: Any) -> float:
        """The seconds that a tool takes. Raises RuntimeError where it answers an error."""
        return await self.request("tools/call", name=tool, arguments=arguments)


def tokens(folder: Path, count: int) -> list[str]:
    """One for each caller of the server that keeps its data in `folder`."""
    from positions_mcp.cli.serving.token_file import TokenFile
    from positions_mcp.clock import SystemClock

    folder.mkdir(mode=0o700, exist_ok=True)
    file, now = TokenFile(folder), SystemClock().now()
    return [file.issue(f"caller-{number}", now) for number in range(count)]


@contextmanager
def ours(api: Upstream, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[HttpServer]:
    """positions-mcp with its data in `folder`, by these settings or as it reads `api` in live mode."""
    command = [*POSITIONS_MCP, "serve", "--transport", "http", "--port", "0", "--data-dir", str(folder)]
    with _serving(command, _NO_LIMITS | dict(api.live_settings if settings is None else settings)) as server:
        yield server


@contextmanager
def bare(api: Upstream) -> Iterator[HttpServer]:
    """The SDK's own server with one tool, beside which ours is measured."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with _serving([sys.executable, str(HERE / "bare_server.py"), api.positions_url, KEY, str(port)], {}) as server:
        yield server


@contextmanager
def _serving(command: Sequence[str], env: Mapping[str, str]) -> Iterator[HttpServer]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(env)) as process:
        try:
            assert process.stderr
            said = process.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/mcp", said)
            if address is None:
                raise RuntimeError(f"the server said {said!r} instead of its address")
            _await(address[0])
            yield HttpServer(address[0], process.pid)
        finally:
            process.terminate()


def _await(url: str) -> None:
    """Ask until it listens."""
    until = perf_counter() + 30
    while True:
        try:
            httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            if perf_counter() > until:
                raise
        else:
            return


def _request(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
