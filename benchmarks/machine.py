"""What the measurements were made on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("positions-mcp", "mcp", "pydantic", "pydantic-core", "httpx", "anyio", "starlette", "uvicorn")


def facts() -> Iterator[tuple[str, str]]:
    """Machine and versions, as pairs of name and value."""
    yield "machine", f"{os.cpu_count()} × {_processor()}, {_memory_gb():.0f} GB memory"
    yield "load average over 1, 5 and 15 minutes", load()
    yield "system", platform.platform()
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield "node", subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def load() -> str:
    """How many wanted the processors, over 1, 5 and 15 minutes."""
    return ", ".join(f"{average:.1f}" for average in os.getloadavg())


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.exists() else None
    return match[1] if match else platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
