"""One of several processes on one store: plans closes and asks for each, and says how many it was let ask for."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from guard.desk import CALLER, POLICY, desk
from guard.exchange import CountingIds, held
from positions_mcp.domain.errors import Refused

PLANS, MOST = 6, 7


async def main(folder: Path, number: int, place: str) -> None:
    symbols = [f"S{number}X{each}" for each in range(PLANS)]
    positions = [held(symbol, 1, number=number * 100 + each) for each, symbol in enumerate(symbols)]
    policy = POLICY.model_copy(update={"max_operations_per_minute": MOST})
    where = place if "://" in place else Path(place)
    ids = CountingIds(number * 1_000_000)
    async with desk(folder, place=where, positions=positions, policy=policy, ids=ids, sleep=anyio.sleep) as it:
        plans = [(await it.plan(symbol, caller=CALLER)).operation for symbol in symbols]
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        asked = 0
        for operation in plans:
            try:
                await it.guard.ask(operation)
                asked += 1
            except Refused:
                pass
        print(asked, flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
