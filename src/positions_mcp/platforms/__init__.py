"""What the operating system gives, behind one interface: one module for each platform, and nothing POSIX elsewhere.

What a platform cannot give is refused with an `OSError` whose text is a sentence for a person.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from positions_mcp.platforms.interface import Platform


def home_folder() -> Path | None:
    """The user's own folder; None for one who has none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return None


@cache
def this_platform() -> Platform:
    if sys.platform == "win32":
        from positions_mcp.platforms.windows import Windows

        return Windows()
    elif sys.platform == "darwin":  # noqa: RET505 — so that a checker of types sees one branch only
        from positions_mcp.platforms.posix import MacOS

        return MacOS()
    else:
        from positions_mcp.platforms.posix import Posix

        return Posix()
