"""A process that closes its own positions under a mandate when it is told to, on one store after another.

Its exchange is its own, but every effect is one line in a file that all processes of a store share.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio

from guard.delegated import sent_without_question
from guard.desk import Desk, desk
from guard.exchange import CountingIds, Exchange, StandingClock, held, noted_in
from positions_mcp.domain.errors import Refused

EACH = 4
"""Positions that each process closes, one by one."""
DONE = "done"


def positions() -> list[Any]:
    return [held(f"S{number}", 10, number=number) for number in range(1, 2 * EACH + 1)]


async def on_a_store(folder: Path, place: str, number: int) -> None:
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(*positions())
    exchange.on_write = noted_in(folder / "effects", number)
    where = Path(place) if "://" not in place else place
    ids = CountingIds(number * 1_000_000)
    async with desk(folder, place=where, clock=clock, exchange=exchange, ids=ids, sleep=anyio.sleep) as it:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        for symbol in range(1 + EACH * (number - 1), 1 + EACH * number):
            print(await _became(it, f"S{symbol}"), flush=True)
    print(DONE, flush=True)


async def _became(it: Desk, symbol: str) -> str:
    try:
        report = await sent_without_question(it, symbol)
    except Refused:
        return "refused"
    return "asked" if report is None else report.state


async def main(number: int) -> None:
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        folder, place = json.loads(line)
        await on_a_store(Path(folder), place, number)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
