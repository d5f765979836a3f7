"""Importing the client costs little beside what it is built on, and nothing that only some of its users need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MOST = 5
"""Times of what it takes to import pydantic and anyio alone."""
ROUNDS = 7
WATCHED = """
import json, sys, time
begin = time.process_time()
import {}
print(json.dumps([time.process_time() - begin, sorted(sys.modules)]))
"""
NOT_NEEDED = {
    "httptools",
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


def imported(what: str, compiled: Path) -> tuple[float, set[str]]:
    """Seconds of processor time that an import takes in a new process, and the modules that are there after it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    shown = subprocess.run(
        [sys.executable, "-c", WATCHED.format(what)],
        env=environment | {"PYTHONPYCACHEPREFIX": str(compiled)},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds, modules = json.loads(shown.stdout)
    return seconds, set(modules)


def test_the_import_takes_little_beside_what_it_needs_and_brings_nothing_heavy(tmp_path: Path) -> None:
    _, modules = imported("positions_mcp.api", tmp_path)  # also compiles
    assert not modules & (NOT_NEEDED | OURS)
    taking: dict[str, list[float]] = {"positions_mcp.api": [], "pydantic, anyio": []}
    for _ in range(ROUNDS):
        for what, seconds in taking.items():
            seconds.append(imported(what, tmp_path)[0])
    ours, needed = map(min, taking.values())
    assert ours < MOST * needed
