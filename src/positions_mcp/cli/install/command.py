"""The command that a host starts the server with: one that is still there when the host starts it.

A host started from a desktop has no shell's PATH, so programs are named by their whole path.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

PROGRAM = "positions-mcp"
NAME = "positions"
_PASSING = ("archive-v0", "environments-v0", "environments-v1", "environments-v2", "builds-v0")
"""Folders in which uv keeps what it may delete whenever it likes."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a host starts the server, and what it calls it."""

    command: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = NAME


def is_ephemeral(path: Path, environment: Mapping[str, str]) -> bool:
    """Whether a path is in a place that uvx or `pipx run` made for one run."""
    parts = path.parts
    cache = environment.get("UV_CACHE_DIR")
    in_cache = bool(cache) and path.is_relative_to(Path(cache or ""))
    by_uv = any(part in _PASSING for part in parts)
    by_pipx = any(pair in ((".cache", "pipx"), ("pipx", ".cache")) for pair in itertools.pairwise(parts))
    return in_cache or by_uv or by_pipx


def program_words(executable: Path, environment: Mapping[str, str], *, requirement: str | None = None) -> list[str]:
    """What starts this program again on another day; `requirement` is what uvx installs it from."""
    if is_ephemeral(executable, environment):
        uvx = shutil.which("uvx", path=environment.get("PATH")) or "uvx"
        return [uvx, "--from", requirement or installed_from(), PROGRAM]
    for name in (PROGRAM, f"{PROGRAM}.exe"):
        if (script := executable.with_name(name)).exists():
            return [str(script)]
    return [str(executable), "-m", "positions_mcp"]


def installed_from() -> str:
    """What an installer takes to install this program again: its name, or the file or repository it came from."""
    try:
        record = json.loads(distribution(PROGRAM).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return PROGRAM
    url = str(record.get("url", ""))
    if "vcs_info" in record:
        return f"{record['vcs_info'].get('vcs', 'git')}+{url}@{record['vcs_info'].get('commit_id', 'HEAD')}"
    if url.startswith("file:"):
        name = unquote(urlsplit(url).path)
        path = Path(name.removeprefix("/") if name[2:3] == ":" else name)  # /C:/… on Windows
        return str(path) if path.exists() else PROGRAM
    return url or PROGRAM
