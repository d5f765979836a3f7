"""How long it takes from the start of a process to the list of its tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks import peer
from benchmarks.processes import EMPTY_SERVER, POSITIONS_MCP, McpProcess, upstream
from benchmarks.report import Finding
from benchmarks.timing import taking_turns

_ROUNDS = 15
_LIMIT = 1.2


def findings(folder: Path) -> Iterator[Finding]:
    """In paper mode with a book that is there already, and in live mode."""
    serve = [*POSITIONS_MCP, "serve", "--data-dir", str(folder / "start")]
    with upstream("thousand") as api:
        paper, live, floor, generated = taking_turns(
            _start(serve),
            _start(serve, api.live_settings),
            _start(EMPTY_SERVER),
            _start(peer.command(api, folder)),
            rounds=_ROUNDS,
            warm_up=1,
        )
    yield Finding.of("start to tools/list, paper", paper, _LIMIT, floor)
    yield Finding.of("start to tools/list, live", live, _LIMIT, floor)
    yield Finding.of("start to tools/list, paper", paper, None, generated, "peer")


def _start(command: Sequence[str], env: Mapping[str, str] | None = None) -> Callable[[], float]:
    def run() -> float:
        begin = perf_counter()
        with McpProcess(command, env) as server:
            server.tools()
            return perf_counter() - begin

    return run
