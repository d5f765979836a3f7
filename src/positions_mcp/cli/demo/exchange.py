"""The demo's hand on the paper exchange: the same `positions-mcp paper` commands that anybody can type."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from positions_mcp.domain.errors import PositionsError


class Exchange:
    """Steers the paper book in one data directory from outside the server, as a person in another terminal would."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *words: str) -> str:
        """Do `positions-mcp paper WORDS`. Returns what it printed. Raises PositionsError when it failed."""
        from positions_mcp.cli import main

        said, failed = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(failed):
            code = main(["paper", *words, "--data-dir", str(self.data_dir)])
        if code:
            raise PositionsError(f"`positions-mcp paper {' '.join(words)}` failed: {failed.getvalue().strip()}")
        return said.getvalue().strip()
