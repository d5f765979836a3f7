"""A process that sends an approved plan and is killed meanwhile: by itself at a step, or from outside."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio

from faults.campaign import CALLER, Case, Clock, arm, client_of, exchange_in, parts_of
from positions_mcp.domain.errors import PositionsError
from positions_mcp.guard.guard import Guard
from positions_mcp.store import open_store


async def send(folder: Path, operation_id: str, case: Case) -> None:
    """Send it as a server would, and die where the case says so."""
    passed = 0

    async def checkpoint(name: str, _operation_id: str) -> None:
        nonlocal passed
        passed += name == case.crash
        if name == case.crash and passed == case.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    clock = Clock()
    async with exchange_in(folder, clock) as exchange, client_of(exchange) as client:
        arm(exchange, case)
        store = open_store(folder / "operations.sqlite")
        try:
            async with Guard(parts_of(exchange, client, store, clock, checkpoint)) as guard:
                print("sending", flush=True)
                await guard.send_approved(operation_id, caller=CALLER)
        except PositionsError:
            pass
        finally:
            store.close()
    print("done", flush=True)


if __name__ == "__main__":
    anyio.run(send, Path(sys.argv[1]), sys.argv[2], Case.read(sys.argv[3]))
