"""How long answers take beside the cost of their pages, and beside the peer; how much memory a large book needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from benchmarks import peer
from benchmarks.processes import KEY, POSITIONS_MCP, McpProcess, Upstream, result_of, upstream
from benchmarks.report import Finding
from benchmarks.sdk_client import SdkClient
from benchmarks.timing import taking_turns, timed

_PAGE_ROUNDS = 25
_BOOK_ROUNDS = 21
_LARGE_ROUNDS = 5
_LINEAR = 1.2
_PEAK_MB = 350


def page_findings(folder: Path) -> Iterator[Finding]:
    """`list_positions` over one page of 1,000 rows."""
    with (
        upstream("thousand") as api,
        _server(api, folder) as ours,
        plain_http() as client,
        McpProcess(peer.command(api, folder)) as generated,
    ):
        measured, floor, theirs = taking_turns(
            _answer(ours, "list_positions"),
            all_pages(client, api),
            timed(lambda: peer.call_positions(generated)),
            rounds=_PAGE_ROUNDS,
        )
    with (
        upstream("thousand") as api,
        SdkClient(_command(folder), api.live_settings) as ours_asked,
        SdkClient(peer.command(api, folder)) as generated_asked,
    ):
        received, theirs_received = taking_turns(
            timed(lambda: ours_asked.call("list_positions")),
            timed(lambda: generated_asked.call(*peer.POSITIONS)),
            rounds=_PAGE_ROUNDS,
        )
    what = "list_positions, 1,000 positions"
    yield Finding.of(what, measured, 2.0, floor)
    yield Finding.of(f"{what}, received by a client", received, 0.3, theirs_received, "peer")
    yield Finding.of(f"{what}, on the pipe", measured, None, theirs, "peer")


def book_findings(folder: Path) -> Iterator[Finding]:
    """`summarize_positions` over books of many pages."""
    with upstream("ten_thousand") as api, _server(api, folder) as ours, plain_http() as client:
        small, small_floor = taking_turns(
            _answer(ours, "summarize_positions"), all_pages(client, api), rounds=_BOOK_ROUNDS
        )
    yield Finding.of("summarize_positions, 10,000 positions", small, 1.6, small_floor)
    with upstream("hundred_thousand") as api, _server(api, folder) as ours, plain_http() as client:
        measures = _answer(ours, "summarize_positions"), all_pages(client, api)
        large, floor = taking_turns(*measures, rounds=_LARGE_ROUNDS, warm_up=1)
        peak = ours.peak_memory_mb
    what = "summarize_positions, 100,000 positions"
    yield Finding.of(what, large, 1.6, floor)
    grown_as_the_floor = 1e3 * small.best * floor.best / small_floor.best
    yield Finding(f"{what}, beside 10,000 grown as the floor", 1e3 * large.best, "ms", _LINEAR, base=grown_as_the_floor)
    yield Finding(f"{what}, most memory resident", peak, "MB", _PEAK_MB)


def _server(api: Upstream, folder: Path) -> McpProcess:
    """positions-mcp with its production client on `api`."""
    return McpProcess(_command(folder), api.live_settings)


def _command(folder: Path) -> list[str]:
    return [*POSITIONS_MCP, "serve", "--data-dir", str(folder / "live")]


def plain_http() -> httpx.Client:
    """A client that does nothing by itself."""
    return httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False)


def _answer(server: McpProcess, tool: str) -> Callable[[], float]:
    def ask() -> None:
        line = server.call(tool)
        if b'"isError":true' in line:
            raise RuntimeError(f"{tool} answered {result_of(line)['content']}")

    return timed(ask)


def all_pages(client: httpx.Client, api: Upstream) -> Callable[[], float]:
    """The floor: every page is fetched over a kept connection and parsed; nothing else."""

    def fetch() -> None:
        token = None
        while True:
            answer = client.get(api.positions_url, params={"page_token": token} if token else None)
            token = json.loads(answer.raise_for_status().content)["metadata"].get("next_page_token")
            if token is None:
                return

    return timed(fetch)
