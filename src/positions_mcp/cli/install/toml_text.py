"""One table of a TOML file, put in at its end and taken out as text: the rest stays byte for byte."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from positions_mcp.cli.install.errors import CannotBeRead

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PIECE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n|.', re.DOTALL
)


def parsed(text: str) -> Any:
    """What the file says. Raises CannotBeRead."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CannotBeRead(f"it is not TOML ({error})") from None


def with_entry(text: str, place: Sequence[str], entry: dict[str, Any]) -> str:
    """The file with a table at a place such as `("mcp_servers", "positions")`. What is there is replaced."""
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join(
        [f"[{_dotted(place)}]", *(f"{_dotted([key])} = {_written(value)}" for key, value in entry.items())]
    )
    if span := _span(text, place):
        return text[: span[0]] + block + text[span[1] :]
    if not text:
        return block + newline
    # A file whose last line does not end keeps that: nothing is added that cannot be taken out again.
    return f"{text}{newline}{block}{newline}" if text.endswith("\n") else f"{text}{newline * 2}{block}"


def without_entry(text: str, place: Sequence[str]) -> str:
    """The file without the table, and the empty line before it."""
    span = _span(text, place)
    if span is None:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    start, end = span
    before, after = text[:start], text[end:]
    if after:
        after = after.removeprefix(newline)
        before = before.removesuffix(newline) if before.endswith(newline * 2) or before == newline else before
    else:
        before = before.removesuffix(newline * 2)
    return before + after


def _span(text: str, place: Sequence[str]) -> tuple[int, int] | None:
    """Where the table and the tables under it stand: from its header to the end of its last line."""
    start: int | None = None
    end = 0
    for at, line_end, header, says in _lines(text):
        if header is not None:
            inside = header[: len(place)] == list(place)
            if start is None and inside:
                start = at
            elif start is not None and not inside:
                break
        if start is not None and says:
            end = line_end
    return None if start is None else (start, end)


def _lines(text: str) -> Iterator[tuple[int, int, list[str] | None, bool]]:
    """Each logical line: where it begins and ends, the name in its header, and whether it is more than a comment."""
    at = depth = 0
    start, says, words = 0, False, ""
    while at < len(text):
        match = _PIECE.match(text, at)
        piece = match[0] if match else text[at]
        at += len(piece)
        if piece == "\n" and depth <= 0:
            end = at - 1 - (text[at - 2 : at - 1] == "\r")
            yield start, end, _header(words), says
            start, says, words = at, False, ""
            continue
        if piece.startswith("#"):
            continue
        depth += (piece in "[{") - (piece in "]}") if len(piece) == 1 else 0
        says = says or bool(piece.strip(" \t\r\n\ufeff"))
        words += piece
    yield start, len(text), _header(words), says


def _header(line: str) -> list[str] | None:
    """The names in a table's header; None where the line is none."""
    line = line.strip(" \t\r\n\ufeff")
    if not line.startswith("[") or line.startswith("[["):
        return None if not line.startswith("[[") else []
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    names = []
    while table:
        ((name, table),) = table.items()
        names.append(name)
    return names


def _dotted(names: Sequence[str]) -> str:
    return ".".join(name if _BARE.fullmatch(name) else json.dumps(name) for name in names)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_dotted([key])} = {_written(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
