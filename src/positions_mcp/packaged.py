"""Where the files that come with the program are: in the wheel, or in the repository of an editable installation."""

from __future__ import annotations

import codecs
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """The directory of packaged configuration: `default.toml` and `paper/*.toml`. Raises FileNotFoundError."""
    return _find("config")


def prompts_dir() -> Path:
    """The directory of MCP prompts in Markdown. Raises FileNotFoundError."""
    return _find("prompts")


def read_text(file: Path) -> str:
    """The text of a person's file in UTF-8, or in UTF-16 where it begins with that byte order mark, as on Windows.

    Raises OSError, UnicodeDecodeError.
    """
    contents = file.read_bytes()
    if contents.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return contents.decode("utf-16")
    return contents.decode("utf-8-sig")


def _find(name: str) -> Path:
    candidates = (_PACKAGE / "_data" / name, _PACKAGE.parents[1] / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    looked_in = " or ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"positions-mcp is installed without its {name!r} files; looked in {looked_in}")
