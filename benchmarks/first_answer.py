"""How long a host waits at each start: from the start of the process to the answer to its first request.

Beside a bare server of the same SDK, and beside an earlier edition where `BENCHMARKS_EARLIER` names a checkout of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.processes import EMPTY_SERVER, POSITIONS_MCP, Conversation, McpProcess, upstream
from benchmarks.report import Finding
from benchmarks.timing import taking_turns

_ROUNDS = 15
_OF_EARLIER = 0.7


def findings(folder: Path) -> Iterator[Finding]:
    """By the clock and in time of the processor, for both forms of the protocol, in paper and in live mode."""
    serve = (*POSITIONS_MCP, "serve", "--data-dir", str(folder / "first"))
    checkout = os.environ.get("BENCHMARKS_EARLIER")
    earlier = {"PYTHONPATH": str(Path(checkout) / "src")} if checkout else None
    with upstream("thousand") as api:
        for conversation in Conversation:
            for mode, live in (("paper", {}), ("live", api.live_settings)):
                sides = [(serve, live), (EMPTY_SERVER, {})]
                if earlier:
                    sides.append((serve, live | earlier))
                yield from _compared(f"start to the first answer, {conversation.value}, {mode}", conversation, sides)


def _compared(
    what: str, conversation: Conversation, sides: Sequence[tuple[Sequence[str], Mapping[str, str]]]
) -> Iterator[Finding]:
    runs = [_Start(command, env, conversation) for command, env in sides]
    by_clock = taking_turns(*runs, rounds=_ROUNDS, warm_up=1)
    of_processor = [1e3 * run.least_processor_s for run in runs]
    yield Finding.of(what, by_clock[0], None, by_clock[1])
    yield Finding(f"{what}, processor", of_processor[0], "ms", None, of_processor[1])
    if len(runs) > 2:
        yield Finding(f"{what}, processor", of_processor[0], "ms", _OF_EARLIER, of_processor[2], "earlier")


class _Start:
    """Starts a server, asks it once, and remembers the least that the processor had to do for an answer."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], conversation: Conversation) -> None:
        self._begin: Callable[[], McpProcess] = lambda: McpProcess(command, env, conversation)
        self.least_processor_s = float("inf")

    def __call__(self) -> float:
        begin = perf_counter()
        with self._begin() as server:
            spent = perf_counter() - begin
            self.least_processor_s = min(self.least_processor_s, server.processor_s)
        return spent
