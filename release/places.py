"""Where the sources and the results are, and how another program is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PACKAGING = ROOT / "packaging"
UV = Path(sys.executable).with_name("uv")
_SOME_DAY = "1767225600"
"""The time that files are dated where the sources have no history."""


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """What a program prints. Ends this one where it fails, with all that it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def date_of_the_sources() -> str:
    """Seconds since 1970 that everything built is dated, so that it is the same whenever it is built."""
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return os.environ.get("SOURCE_DATE_EPOCH") or done.stdout.strip() or _SOME_DAY
