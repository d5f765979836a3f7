"""One of several processes on one store: sends approved plans, one after the other, once it is told to.

Its exchange is its own, but every effect is one line in a file that all of them share.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from guard.delegate import positions
from guard.desk import CALLER, POLICY, desk
from guard.exchange import CountingIds, Exchange, StandingClock, noted_in
from positions_mcp.domain.errors import PositionsError


async def main(folder: Path, place: str, *operation_ids: str) -> None:
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(*positions())
    exchange.on_write = noted_in(folder / "effects", 1)
    where = Path(place) if "://" not in place else place
    parts = {"ids": CountingIds(1_000_000), "sleep": anyio.sleep, "policy": POLICY}
    async with desk(folder, place=where, clock=clock, exchange=exchange, **parts) as it:
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        for operation_id in operation_ids:
            try:
                report = await it.guard.send_approved(operation_id, caller=CALLER)
                print(report.state, flush=True)
            except PositionsError as refused:
                print(type(refused).__name__, flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), *sys.argv[2:])
