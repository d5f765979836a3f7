"""`make faults`, its part with three replicas: every fault at every step, clocks apart, a rolling restart under load.

    python -m replicas [CASES]

Prints what broke where and what came of it; the checker decides. Exit code 1 if any promise was broken.
"""

from __future__ import annotations

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


async def proof(cases: list[Case]) -> int:
    """Run it, and let the checker decide. Returns how many promises were broken."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="proof-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        async with cluster(Path(folder), skews=SKEWS) as running, campaigning(running) as campaign:
            await under_load(campaign, cases)
            await campaign.settle()
            record = await history(running, campaign.story)
    file = kept(record, Path(tempfile.gettempdir(), "positions-mcp-history.json"))
    broken = checker.broken(record)
    sprung = Counter((fault["fault"], fault.get("step", "")) for fault in record["faults"] if fault.get("sprung", True))
    for (fault, step), times in sorted(sprung.items()):
        print(f"{fault:<10} {step:<18} {times:>4}")
    print(", ".join(f"{number} {what}" for what, number in checker.counts(record).items()))
    print(f"{time.monotonic() - began:.0f} s. Promises broken: {len(broken)}. History: {file}")
    print("\n".join(broken))
    return len(broken)


if __name__ == "__main__":
    wanted = matrix()
    if len(sys.argv) > 1:
        wanted = random.Random(20261127).sample(wanted, min(int(sys.argv[1]), len(wanted)))
    sys.exit(1 if anyio.run(proof, wanted) else 0)
