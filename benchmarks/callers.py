"""How calls over HTTP fare when many callers make them at once, beside a bare server of the SDK."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

import anyio
import httpx
from benchmarks.processes import HERE, KEY, POSITIONS_MCP, Upstream, environment, upstream
from benchmarks.report import Finding

_AT_ONCE = (1, 10, 50, 100)
_CALLS = 300
"""Measured of each side and number of callers, in turns of a third."""
_TURNS = 3
_PROTOCOL = "2025-06-18"
_LIMIT = 1.2


def findings(folder: Path) -> Iterator[Finding]:
    """`list_positions` of 1,000 positions by 1 to 100 callers, and `summarize_positions` by 100 at once."""
    with ExitStack() as running:
        api = running.enter_context(upstream("thousand"))
        tokens = _tokens(folder)
        ours = running.enter_context(_ours(api, folder))
        bare = running.enter_context(_bare(api))
        sides = (_Side(ours, tokens), _Side(bare, [""] * len(tokens)))
        for callers in _AT_ONCE:
            mine, floor = anyio.run(_take_turns, sides, callers)
            what = f"list_positions over HTTP, {callers} caller{'s' if callers > 1 else ''}"
            for name, share in (("median", 0.5), ("99 of 100 calls within", 0.99)):
                measured, base = _at(mine, share), _at(floor, share)
                yield Finding(f"{what}, {name}", 1e3 * measured, "ms", _LIMIT, base=1e3 * base)
        answered = anyio.run(sides[0].all_at_once, "summarize_positions", 100)
        yield Finding("summarize_positions, the last of 100 callers at once", 1e3 * max(answered), "ms", None)


class _Side:
    """A server, and those who call it: each in a session and with a connection of their own."""

    def __init__(self, url: str, tokens: Sequence[str]) -> None:
        self._url = url
        self._tokens = tokens

    async def all_at_once(self, tool: str, callers: int, calls: int = 1) -> list[float]:
        """The seconds of every call of so many callers, each of whom makes `calls`, one after another."""
        taken: list[float] = []
        ready, begun = anyio.Semaphore(0), anyio.Event()

        async def caller(token: str) -> None:
            authorization = {"Authorization": f"Bearer {token}"} if token else {}
            said = {"Accept": "application/json, text/event-stream", **authorization}
            async with httpx.AsyncClient(headers=said, timeout=120, trust_env=False) as http:
                client = {"name": "benchmarks", "version": "1"}
                hello = {"protocolVersion": _PROTOCOL, "capabilities": {}, "clientInfo": client}
                opened = await http.post(self._url, json=_request("initialize", hello))
                http.headers["Mcp-Session-Id"] = opened.raise_for_status().headers["mcp-session-id"]
                ready.release()
                await begun.wait()
                for _ in range(calls):
                    begin = perf_counter()
                    answer = await http.post(self._url, json=_request("tools/call", {"name": tool, "arguments": {}}))
                    taken.append(perf_counter() - begin)
                    if b'"result"' not in answer.raise_for_status().content or b'"isError":true' in answer.content:
                        raise RuntimeError(f"{tool} answered {answer.text[:300]}")

        async with anyio.create_task_group() as at_once:
            for token in self._tokens[:callers]:
                at_once.start_soon(caller, token)
            for _ in range(callers):
                await ready.acquire()
            begun.set()
        return taken


async def _take_turns(sides: Sequence[_Side], callers: int) -> list[list[float]]:
    taken: list[list[float]] = [[] for _ in sides]
    for side in sides:
        await side.all_at_once("list_positions", callers)
    for _ in range(_TURNS):
        for side, seconds in zip(sides, taken, strict=True):
            seconds.extend(await side.all_at_once("list_positions", callers, max(1, _CALLS // _TURNS // callers)))
    return taken


def _at(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)]


def _request(method: str, params: dict[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _tokens(folder: Path) -> list[str]:
    """One for each caller of the server that keeps its data in `folder`."""
    from positions_mcp.cli.token_file import TokenFile
    from positions_mcp.clock import SystemClock

    (folder / "live").mkdir(mode=0o700, exist_ok=True)
    file, now = TokenFile(folder / "live"), SystemClock().now()
    return [file.issue(f"caller-{number}", now) for number in range(max(_AT_ONCE))]


@contextmanager
def _ours(api: Upstream, folder: Path) -> Iterator[str]:
    command = [*POSITIONS_MCP, "serve", "--transport", "http", "--port", "0", "--data-dir", str(folder / "live")]
    with _serving(command, api.live_settings) as url:
        yield url


@contextmanager
def _bare(api: Upstream) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with _serving([sys.executable, str(HERE / "bare_server.py"), api.positions_url, KEY, str(port)], {}) as url:
        yield url


@contextmanager
def _serving(command: Sequence[str], env: dict[str, str]) -> Iterator[str]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(env)) as process:
        try:
            assert process.stderr
            said = process.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/mcp", said)
            if address is None:
                raise RuntimeError(f"the server said {said!r} instead of its address")
            _await(address[0])
            yield address[0]
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
