"""How calls over HTTP fare when many callers make them at once, beside a bare server of the SDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from time import perf_counter

import anyio
from benchmarks.report import Finding
from benchmarks.scale.over_http import Caller, bare, ours, tokens
from benchmarks.scale.place import Place
from benchmarks.scale.thin import thin_upstream

_POSITIONS = 1000
_TURNS = 3
_LIMIT = 1.2
_ASKED = 10
"""Upstream requests for a hundred who ask the same at once."""


def list_positions(place: Place) -> Iterator[Finding]:
    """`list_positions` of 1,000 positions by 1 to 100 callers at once: calls a second, and 99 of 100 calls within."""
    with ExitStack() as running:
        api = running.enter_context(thin_upstream(_POSITIONS))
        known = tokens(place.folder / "callers", max(place.sizes.callers))
        server = running.enter_context(ours(api, place.folder / "callers"))
        floor = running.enter_context(bare(api))
        sides = ((server.url, known), (floor.url, [""] * len(known)))
        for callers in place.sizes.callers:
            mine, base = anyio.run(_take_turns, sides, callers, place.sizes.calls)
            what = f"list_positions over HTTP, {callers} caller{'s' if callers > 1 else ''}"
            rates = [len(side.seconds) / side.elapsed_s for side in (mine, base)]
            yield Finding(what, rates[0], "calls/s", round(1 / _LIMIT, 3), base=rates[1], at_least=True)
            measured, beside = (1e3 * side.at(0.99) for side in (mine, base))
            yield Finding(f"{what}, 99 of 100 within", measured, "ms", _LIMIT, base=beside)


def summaries_at_once(place: Place) -> Iterator[Finding]:
    """`summarize_positions` by as many callers at once: all are answered, and few requests go upstream."""
    callers = max(place.sizes.callers)
    folder = place.folder / "summaries"
    with thin_upstream(_POSITIONS) as api:
        known = tokens(folder, callers)
        with ours(api, folder) as server:
            _, (alone,) = anyio.run(_all_at_once, server.url, known[:1], "summarize_positions", 1)
            before = api.asked()
            _, taken = anyio.run(_all_at_once, server.url, known, "summarize_positions", 1)
            asked = api.asked() - before
    what = f"summarize_positions, {callers} callers at once"
    yield Finding(f"{what}, answered", len(taken), "requests", callers, at_least=True)
    yield Finding(f"{what}, upstream requests", asked, "requests", _ASKED)
    yield Finding(f"{what}, the last of them, floor: one alone", 1e3 * max(taken), "ms", None, base=1e3 * alone)


class _Turns:
    """The seconds of every call of one side, and how long they took together."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.elapsed_s = 0.0

    def at(self, share: float) -> float:
        """Seconds within which this share of the calls was answered."""
        return sorted(self.seconds)[min(int(share * len(self.seconds)), len(self.seconds) - 1)]


async def _take_turns(sides: Sequence[tuple[str, Sequence[str]]], callers: int, calls: int) -> list[_Turns]:
    found = [_Turns() for _ in sides]
    for url, known in sides:
        await _all_at_once(url, known[:callers], "list_positions", 1)
    for _ in range(_TURNS):
        for (url, known), side in zip(sides, found, strict=True):
            each = max(1, calls // _TURNS // callers)
            elapsed_s, taken = await _all_at_once(url, known[:callers], "list_positions", each)
            side.seconds += taken
            side.elapsed_s += elapsed_s
    return found


async def _all_at_once(url: str, known: Sequence[str], tool: str, calls: int) -> tuple[float, list[float]]:
    """How long it takes until each of these callers has made so many calls, one after another; and each call."""
    taken: list[float] = []

    async def calling(caller: Caller) -> None:
        taken.extend([await caller.call(tool) for _ in range(calls)])

    async with AsyncExitStack() as open_sessions:
        callers = [await open_sessions.enter_async_context(Caller(url, token)) for token in known]
        begin = perf_counter()
        async with anyio.create_task_group() as at_once:
            for caller in callers:
                at_once.start_soon(calling, caller)
        elapsed_s = perf_counter() - begin
    return elapsed_s, taken
