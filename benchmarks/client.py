"""How long the client takes by itself, beside fetching the same pages, at three sizes of a book."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.from_thread
import httpx
from benchmarks.processes import ACCOUNT, KEY, Upstream, environment, upstream
from benchmarks.report import Finding
from benchmarks.timing import taking_turns, timed

from positions_mcp.api import PositionsClient

_SIZES = (("hundred", 100, 25), ("ten_thousand", 10_000, 11), ("hundred_thousand", 100_000, 3))
"""Scenario, positions, rounds."""
_IMPORTS = 9
_IMPORT_S = 0.2
_CLOSES = 9


def findings(_: Path) -> Iterator[Finding]:
    """First page, all pages and one close, and what importing takes."""
    for scenario, positions, rounds in _SIZES:
        with upstream(scenario) as api, _http() as plain, _calls(api) as client:
            held = f"{positions:,} positions"
            first, first_floor = taking_turns(client.first_page, timed(lambda: _page(plain, api)), rounds=rounds)
            yield Finding.of(f"client: first page of {held}", first, None, first_floor)
            every, every_floor = taking_turns(
                client.all_pages, timed(lambda: _pages(plain, api)), rounds=rounds, warm_up=1
            )
            yield Finding.of(f"client: all pages of {held}", every, None, every_floor)
            close, close_floor = taking_turns(client.close_next, client.close_next_plainly, rounds=_CLOSES, warm_up=1)
            yield Finding.of(f"client: closing one of {held}", close, None, close_floor)
    (imported,) = taking_turns(timed(_import), rounds=_IMPORTS)
    (bare,) = taking_turns(timed(_start), rounds=_IMPORTS)
    yield Finding("client: import positions_mcp.api", 1e3 * (imported.best - bare.best), "ms", 1e3 * _IMPORT_S)


class _Client:
    """The production client, called from a thread without an event loop."""

    def __init__(self, api: Upstream, portal: anyio.from_thread.BlockingPortal) -> None:
        self._client = PositionsClient(api.url, KEY)
        self._call: Callable[..., object] = portal.call
        self.first_page = timed(lambda: self._call(self._client.get_positions, ACCOUNT))
        self.all_pages = timed(lambda: self._call(self._client.read_book, ACCOUNT))
        book = portal.call(self._client.read_book, ACCOUNT)
        held = iter([position.instrument_id for position in book.positions])
        self.close_next = timed(lambda: self._call(self._client.close_position, ACCOUNT, next(held), True))
        self.close_next_plainly = timed(lambda: close_plainly(api, next(held)))

    def end(self) -> None:
        """Close its connections."""
        self._call(self._client.aclose)


@contextmanager
def _calls(api: Upstream) -> Iterator[_Client]:
    with anyio.from_thread.start_blocking_portal() as portal:
        client = _Client(api, portal)
        yield client
        client.end()


def _http() -> httpx.Client:
    return httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False)


def _page(plain: httpx.Client, api: Upstream, token: str | None = None) -> str | None:
    answer = plain.get(api.positions_url, params={"page_token": token} if token else None)
    following: str | None = json.loads(answer.raise_for_status().content)["metadata"].get("next_page_token")
    return following


def _pages(plain: httpx.Client, api: Upstream) -> None:
    token = _page(plain, api)
    while token is not None:
        token = _page(plain, api, token)


def close_plainly(api: Upstream, instrument_id: str) -> None:
    """The floor of a close: the same request on a connection of its own, and its answer parsed."""
    with _http() as fresh:
        answer = fresh.request("DELETE", f"{api.positions_url}/{instrument_id}", json={"cancel_orders": True})
        json.loads(answer.raise_for_status().content)


def _import() -> None:
    subprocess.run([sys.executable, "-c", "import positions_mcp.api"], check=True, env=environment())


def _start() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True, env=environment())
