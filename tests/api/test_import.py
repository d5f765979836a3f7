"""Importing the client costs little, and nothing that only some of its users need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MOST_S = 0.2
ROUNDS = 7
WATCHED = """
import json, sys, time
begin = time.process_time()
import positions_mcp.api
print(json.dumps([time.process_time() - begin, sorted(sys.modules)]))
"""
NOT_NEEDED = {
    "httpx",
    "ssl",
    "mcp",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "holidays",
    "asyncio",
    "msgspec",
    "importlib.metadata",
}
OURS = {"positions_mcp.guard", "positions_mcp.tools", "positions_mcp.paper", "positions_mcp.store", "positions_mcp.cli"}


def imported(compiled: Path) -> tuple[float, set[str]]:
    """Seconds of processor time that the import takes in a new process, and the modules that are there after it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    shown = subprocess.run(
        [sys.executable, "-c", WATCHED],
        env=environment | {"PYTHONPYCACHEPREFIX": str(compiled)},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds, modules = json.loads(shown.stdout)
    return seconds, set(modules)


def test_the_import_takes_less_than_a_fifth_of_a_second_and_brings_nothing_heavy(tmp_path: Path) -> None:
    _, modules = imported(tmp_path)  # also compiles
    assert not modules & (NOT_NEEDED | OURS)
    assert min(imported(tmp_path)[0] for _ in range(ROUNDS)) < MOST_S
