"""The tools of those who made the formats, from npm as the lock file has them, installed once."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from release.places import PACKAGING, ROOT, run


def tool(name: str) -> Path:
    """The program `mcpb` or `claude`."""
    return _installed() / "node_modules" / ".bin" / name


def _installed() -> Path:
    sources = PACKAGING / "tools"
    lock = (sources / "package-lock.json").read_bytes()
    folder = ROOT / ".cache" / "packaging-tools" / hashlib.sha256(lock).hexdigest()[:12]
    if not folder.is_dir():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(sources / name, making)
        run("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", cwd=making)
        # Claude Code's own step puts the program for this machine, another package, where it is looked for.
        run("node", "install.cjs", cwd=making / "node_modules" / "@anthropic-ai" / "claude-code")
        try:
            making.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(making)
    return folder
