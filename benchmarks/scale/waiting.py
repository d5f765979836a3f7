"""What others wait for: the event loop while one caller reads a large book, the start, and servers that only watch."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from statistics import median
from time import perf_counter

import anyio
from benchmarks.processes import ACCOUNT, HERE, KEY, POSITIONS_MCP, McpProcess, result_of
from benchmarks.report import Finding
from benchmarks.scale.over_http import Caller, ours, tokens
from benchmarks.scale.place import Place
from benchmarks.scale.thin import close, server, share, thin_upstream
from benchmarks.timing import taking_turns

_SMALL = ACCOUNT + 1
_WAIT_MS = 50
_START = 1.15
_IDLE_PERCENT, _IDLE_REQUESTS = 0.5, 60
_Asking = Callable[[], Awaitable[float]]


def event_loop(place: Place) -> Iterator[Finding]:
    """The longest that pings and small readings wait while another caller reads a large book, beyond the usual."""
    positions, folder = place.sizes.positions, place.folder / "loop"
    known = tokens(folder, 3)
    with thin_upstream(positions, accounts={_SMALL: 1000}) as api:
        accounts = {"POSITIONS_MCP_ACCOUNTS": f"[{ACCOUNT}, {_SMALL}]"}
        with ours(api, folder, api.live_settings | accounts) as http:
            for reads in ("summarize_positions", "list_positions"):
                for what, (usual, longest) in anyio.run(
                    _beside, http.url, known, reads, min(place.sizes.rounds, 2)
                ).items():
                    name = f"{what} while another caller's {reads} reads {positions:,}: the longest wait, beyond usual"
                    yield Finding(name, 1e3 * (longest - usual), "ms", _WAIT_MS, base=1e3 * usual, absolute=True)


async def _beside(url: str, known: Sequence[str], reads: str, rounds: int) -> Mapping[str, tuple[float, float]]:
    """Of each kind of call: the usual seconds of it alone, and the longest while somebody reads."""
    async with Caller(url, known[0]) as reader, Caller(url, known[1]) as pinging, Caller(url, known[2]) as listing:
        kinds: dict[str, _Asking] = {
            "ping": lambda: pinging.request("ping"),
            "list_positions of 1,000": lambda: listing.call("list_positions", account_id=_SMALL),
        }
        usual, longest = {}, {}
        for what, ask in kinds.items():
            await ask()
            usual[what] = median([await ask() for _ in range(20)])
        await reader.call(reads, account_id=ACCOUNT)
        gc.freeze()  # what this process collects itself would be measured as somebody's wait: a tenth of a second
        for what, ask in kinds.items():
            over, taken = anyio.Event(), list[float]()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_asking, ask, over, taken)
                for _ in range(rounds):
                    await reader.call(reads, account_id=ACCOUNT)
                over.set()
            longest[what] = max(taken)
    return {what: (usual[what], longest[what]) for what in kinds}


async def _asking(ask: _Asking, over: anyio.Event, taken: list[float]) -> None:
    while not over.is_set():
        taken.append(await ask())


def subscribers(place: Place) -> Iterator[Finding]:
    """A server whose ten callers have each subscribed to an operation that is open and does not move."""
    count, idle_s = place.sizes.subscribers, place.sizes.idle_s
    for store in place.stores("subscribers"):
        with thin_upstream(400, fills=False) as api, server(api, store) as watched:
            for number in range(count):
                uri = f"operations://{close(watched, [share(number)])}"
                result_of(watched.request("resources/subscribe", {"uri": uri}))
            time.sleep(min(idle_s, 2))
            spent, asked, begin = watched.processor_s, api.asked(), perf_counter()
            time.sleep(idle_s)
            elapsed = perf_counter() - begin
            busy, requests = 100 * (watched.processor_s - spent) / elapsed, 60 * (api.asked() - asked) / elapsed
        what = f"{count} subscribers to open operations, idle, {store.name}"
        yield Finding(f"{what}, processor", busy, "%", _IDLE_PERCENT)
        yield Finding(f"{what}, upstream", requests, "requests/min", _IDLE_REQUESTS)


def start(place: Place) -> Iterator[Finding]:
    """From the start of the process to the first `list_positions` of 1,000, beside a bare server that fetches them."""
    rounds = 3 * place.sizes.rounds if place.sizes.rounds > 1 else 1
    with thin_upstream(1000) as api:
        mine = [*POSITIONS_MCP, "serve", "--data-dir", str(place.folder / "start")]
        base = [sys.executable, str(HERE / "bare_server.py"), api.positions_url, KEY]
        measured, floor = taking_turns(
            _first_list(mine, api.live_settings), _first_list(base, {}), rounds=rounds, warm_up=1
        )
    yield Finding.of("start to the first list_positions of 1,000", measured, _START, floor)


def _first_list(command: Sequence[str], env: Mapping[str, str]) -> Callable[[], float]:
    def run() -> float:
        begin = perf_counter()
        with McpProcess(command, env) as process:
            process.tools()
            if b'"isError":true' in (line := process.call("list_positions")):
                raise RuntimeError(f"list_positions answered {line[:300]!r}")
            return perf_counter() - begin

    return run
