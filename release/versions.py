"""The version, in every file that has to name it: `positions_mcp.__version__` is the one that counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from positions_mcp import __version__
from release.places import ROOT

_VERSION = r"[0-9]+\.[0-9]+\.[0-9]+[0-9a-z.+-]*"
_PLACES = {
    "server.json": rf'(?<="version": "){_VERSION}',
    ".claude-plugin/marketplace.json": rf'(?<="version": "){_VERSION}',
    "compose.yaml": rf"(?<=positions-mcp:){_VERSION}",
    "packaging/bundle/manifest.json": rf'(?<=^  "version": "){_VERSION}',
    "packaging/plugin/.claude-plugin/plugin.json": rf'(?<="version": "){_VERSION}',
    "packaging/plugin/.mcp.json": rf"(?<=positions-mcp@){_VERSION}",
}


def named() -> Mapping[str, set[str]]:
    """Which versions each file names."""
    return {name: set(re.findall(pattern, _text(name), re.MULTILINE)) for name, pattern in _PLACES.items()}


def write() -> None:
    """Write the version into all of them."""
    for name, pattern in _PLACES.items():
        text = re.sub(pattern, __version__, _text(name), flags=re.MULTILINE)
        (ROOT / name).write_text(text, encoding="utf-8")


def _text(name: str) -> str:
    return Path(ROOT / name).read_text(encoding="utf-8")
