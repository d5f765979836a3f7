"""macOS: as any POSIX, but that `fsync` leaves what it wrote in the drive's own memory. Implements `Platform`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from positions_mcp.platforms.posix import Posix


class MacOS(Posix):
    """SQLite waits there for the drive itself where it is told to."""

    sqlite_pragmas: Sequence[str] = ("PRAGMA fullfsync=ON", "PRAGMA checkpoint_fullfsync=ON")
    spare_folders: Sequence[Path] = ()
