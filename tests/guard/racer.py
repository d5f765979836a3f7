"""One of several processes on one store: sends an approved plan when it is told to, and says what became of it.

Its exchange is its own, but every effect is one line in a file that all of them share.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from guard.desk import CALLER, desk, usual_positions
from guard.exchange import CountingIds, Exchange, StandingClock, noted_in
from positions_mcp.domain.errors import Refused


async def main(folder: Path, operation_id: str, number: int, place: str | None = None) -> None:
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(*usual_positions())

    exchange.on_write = noted_in(folder / "effects", number)
    ids = CountingIds(number * 1_000_000)
    where = Path(place) if place and "://" not in place else place
    async with desk(folder, place=where, clock=clock, exchange=exchange, ids=ids, sleep=anyio.sleep) as it:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        try:
            report = await it.guard.send_approved(operation_id, caller=CALLER)
            print(report.state, flush=True)
        except Refused as refused:
            print(type(refused).__name__, flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
