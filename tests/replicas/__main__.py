"""`make faults`, its part with three replicas: every fault at every step, clocks apart, a rolling restart under load.

    python -m replicas [PART/PARTS]

The whole matrix, or a part of it that has some of everything.
Prints what broke where and what came of it; the checker decides. Exit code 1 if any promise was broken.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from itertools import count
from pathlib import Path

import anyio

from replicas import checker
from replicas.campaign import Campaign, Case, campaigning, history, kept, matrix
from replicas.cluster import SKEWS, cluster
from trading import ERAS

ROUND = 28
"""Cases over one cluster; the positions of its exchange last for some more."""
LANES = 2
"""Callers who close something all the time, while things break."""


async def under_load(campaign: Campaign, cases: list[Case]) -> None:
    """All cases one after another, then a rolling restart, while others go on closing."""
    async with anyio.create_task_group() as tasks:
        for lane in range(LANES):
            tasks.start_soon(close_on, campaign, lane)
        for number, case in enumerate(cases):
            print(number, case, file=sys.stderr, flush=True)
            await campaign.run(case)
        await campaign.rolling_restart()
        tasks.cancel_scope.cancel()


async def close_on(campaign: Campaign, lane: int) -> None:
    """A caller who closes one position after another."""
    for turn in count():
        await campaign.close_next(Case("none", era=ERAS[(lane + turn) % 2], way=("form", "desk")[lane % 2], first=turn))


async def round_of(cases: list[Case]) -> checker.Record:
    """All of them over one cluster, and what every witness saw."""
    with tempfile.TemporaryDirectory(prefix="proof-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        async with cluster(Path(folder), skews=SKEWS) as running, campaigning(running) as campaign:
            await under_load(campaign, cases)
            await campaign.settle()
            return await history(running, campaign.story)


def proof(cases: list[Case]) -> int:
    """Run them in rounds, and let the checker decide. Returns how many promises were broken."""
    began, broken = time.monotonic(), list[str]()
    sprung, amounts = Counter[tuple[str, str]](), Counter[str]()
    for number, at in enumerate(range(0, len(cases), ROUND)):
        record = anyio.run(round_of, cases[at : at + ROUND])
        found = checker.broken(record)
        if found:
            file = Path(tempfile.gettempdir(), f"positions-mcp-history-{os.getpid()}-{number}.json")
            broken += [f"{words} ({kept(record, file)})" for words in found]
        sprung.update((f["fault"], f.get("step", "")) for f in record["faults"] if f.get("sprung", True))
        amounts.update(checker.counts(record))
    for (fault, step), times in sorted(sprung.items()):
        print(f"{fault:<10} {step:<18} {times:>4}")
    print(", ".join(f"{amount} {what}" for what, amount in amounts.items()))
    print(f"{len(cases)} cases in {time.monotonic() - began:.0f} s. Promises broken: {len(broken)}.")
    print("\n".join(broken))
    return len(broken)


def part(said: str) -> list[Case]:
    """The cases of one part of the matrix."""
    which, of = map(int, said.split("/"))
    cases = matrix()
    random.Random(20261127).shuffle(cases)
    return cases[which - 1 :: of]


if __name__ == "__main__":
    sys.exit(1 if proof(part(*sys.argv[1:] or ["1/1"])) else 0)
