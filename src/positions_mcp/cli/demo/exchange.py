"""The demo's hand on the paper exchange: the same `positions-mcp paper` commands that anybody can type."""

from __future__ import annotations

import subprocess
from pathlib import Path

from positions_mcp.cli.demo.snippets import executable
from positions_mcp.domain.errors import PositionsError


class Exchange:
    """Steers the paper book in one data directory from outside the server, as a person in another terminal would."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *words: str) -> str:
        """Run `positions-mcp paper WORDS`. Returns what it printed. Raises PositionsError when it failed."""
        command = [executable(), "paper", *words, "--data-dir", str(self.data_dir)]
        finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own
        if finished.returncode:
            raise PositionsError(f"`positions-mcp paper {' '.join(words)}` failed: {finished.stderr.strip()}")
        return finished.stdout.strip()
