"""A call of an assistant's, as its own process: plan, ask, wait for the desk, send. Prints the id, then the report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from positions_mcp.cli.assembly.composition import open_guard, open_venue
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.ids import AccountId
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.settings import load


async def ask(data_dir: Path, wait_s: float, symbols: Sequence[str]) -> None:
    settings = load({"mode": "paper", "data_dir": data_dir})
    with open_venue(settings) as venue:
        async with venue.connect() as client, open_guard(settings, venue, client) as guard:
            request = CloseRequest(account_id=AccountId(19816), instruments=tuple(symbols))
            planned = await guard.plan(request, caller="test")
            operation = await guard.ask(planned.operation)
            print(operation.operation_id, flush=True)
            try:
                report = await guard.wait_and_send(operation, caller="test", wait=Wait(wait_s))
            except PositionsError as error:
                print(f'{{"error": "{type(error).__name__}"}}', flush=True)
                return
            print(report.model_dump_json(), flush=True)


if __name__ == "__main__":  # DATA_DIR WAIT_S SYMBOL…
    anyio.run(ask, Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
