"""How a person's commands print: folded at the terminal's width, coloured where it shows colours, or as JSON.

The only place that knows a terminal's escapes. Text is composed plain and coloured when it is printed: a line that
names real money, or one of the states that are written in capitals because they are grave.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from time import monotonic
from typing import Any, TextIO

from positions_mcp.domain.money import plain
from positions_mcp.domain.text import clean

_USUAL_WIDTH, _LEAST_WIDTH = 80, 40
_LONGEST_LINE = 2_000
_BETWEEN = "  "
_COMMAND = re.compile("`[^`]*`")
_NO_BREAK = "\x00"
_OFF = "\033[0m"


class Style(StrEnum):
    """How a word stands out in a terminal."""

    BOLD = "\033[1m"
    DIM = "\033[2m"
    RED = "\033[31m"
    GREEN = "\033[32m"
    YELLOW = "\033[33m"
    BLUE = "\033[34m"


_COLOURS = {
    Style.RED: r"REAL MONEY|^LIVE account|in LIVE\b|HALTED|CANNOT BE USED|UNKNOWN|DEVIATED|REJECTED|REFUSED|STALE"
    "|BROKEN|^RISK|^OVERRIDES|^FAIL",
    Style.YELLOW: "AWAITING_APPROVAL|NOT SENT|SENDING|PARTIAL|LAPSED|EXPIRED|^CHECK THE NAME|^note ",
    Style.GREEN: "^INTACT|^SETTLED|^RESUMED",
}
_COLOURED = [(style, re.compile(words)) for style, words in _COLOURS.items()]
_TICK_S = 1.0


def say(text: str) -> None:
    _print(coloured(text, sys.stdout))


def complain(text: str) -> None:
    """Print an error to standard error. A terminal folds it by itself, so that what it says to run can be copied."""
    print(coloured(text, sys.stderr), file=sys.stderr)


def coloured(text: str, stream: TextIO) -> str:
    """`text` as it is printed on a stream: with colours where that is a terminal that shows them."""
    if not shows_colours(stream):
        return text
    lines: list[str] = []
    style, indent = None, 0
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip())
        if not (style and line and depth > indent):  # what is indented below a line belongs to it
            style, indent = next((each for each, words in _COLOURED if words.search(line.strip())), None), depth
        lines.append(styled(line, style) if style else line)
    return "\n".join(lines)


def styled(text: str, style: Style) -> str:
    """`text` in a style, for a terminal that `shows_colours`."""
    return f"{style}{text}{_OFF}"


def shows_colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours, and nobody has asked for plain text (https://no-color.org)."""
    known = os.environ.get("TERM", "") not in ("", "dumb") or "WT_SESSION" in os.environ  # the latter on Windows
    return known and _is_terminal(stream) and not os.environ.get("NO_COLOR")


def width() -> int:
    """The columns of the terminal; where there is none, what COLUMNS says, or 80."""
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # a pipe, a file, or a stream without a descriptor
        columns = 0
    return max(columns or shutil.get_terminal_size((_USUAL_WIDTH, 24)).columns, _LEAST_WIDTH)


def paragraph(text: str, *, indent: str = "") -> str:
    """Text of several lines, each cleaned of what could hide or forge, and folded at the width."""
    lines = (clean(line, _LONGEST_LINE) for line in text.splitlines())
    return "\n".join(folded(line, indent, f"{indent}  ") for line in lines)


def folded(line: str, first: str = "", rest: str = "") -> str:
    """A line folded at the width. Paths, and commands in backticks, stay whole: they are copied and pasted."""
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _NO_BREAK), line)
    fold = textwrap.TextWrapper(
        width(), initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return fold.fill(whole).replace(_NO_BREAK, " ")


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The heading and each row, in columns. Columns for which there is no room stand below, indented: none is cut."""
    cells = [list(heading), *([clean(cell, _LONGEST_LINE) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    groups = list(_side_by_side(widths))
    return ["\n".join(_line(row, widths, group) for group in groups if any(row[i] for i in group)) for row in cells]


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, for a command that reads. What it prints then is described in docs/commands.md."""
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")


def print_json(shape: Any) -> None:
    """Print a shape of dicts, lists and values: amounts as strings with their own digits, times in UTC."""
    _print(json.dumps(shape, indent=2, default=_as_json))


class Progress:
    """One line that says what is waited for and since when, on standard error, where that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what, self._since = what, monotonic()
        self._shown, self._over = "", threading.Event()
        self._writing = threading.Lock()

    def show(self) -> None:
        seconds = int(monotonic() - self._since)
        line = f"{self._what} … {seconds} s" if seconds else f"{self._what} …"
        with self._writing:
            if not self._over.is_set():
                self._write(line[: width() - 1])

    def clear(self) -> None:
        """Take the line away, so that something else can be printed; it comes back by itself."""
        with self._writing:
            self._write("")

    def keep_showing(self) -> None:
        """Write it anew every second, until it ends."""
        while not self._over.wait(_TICK_S):
            self.show()

    def end(self) -> None:
        self._over.set()
        self.clear()

    def _write(self, line: str) -> None:
        blank = " " * len(self._shown)
        sys.stderr.write(f"\r{blank}\r{line}")
        sys.stderr.flush()
        self._shown = line


class _NoProgress(Progress):
    """Nobody looks: it writes nothing."""

    def _write(self, line: str) -> None:
        """Nothing."""


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Within, a person at a terminal sees what is waited for; elsewhere nothing is written."""
    if not _is_terminal(sys.stderr):
        yield _NoProgress(what)
        return
    line = Progress(what)
    line.show()
    ticking = threading.Thread(target=line.keep_showing, daemon=True)
    ticking.start()
    try:
        yield line
    finally:
        line.end()
        ticking.join()


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:  # the disk is full, or who read it has seen enough, as `head` has: the command goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            complain(f"positions-mcp: what it says cannot be written: {error.strerror}. What it does goes on.")


def _is_terminal(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty()


def _side_by_side(widths: Sequence[int]) -> Iterator[list[int]]:
    """The columns, in groups that fit the width together; one that does not fit alone is a group of its own."""
    group: list[int] = []
    taken = 0
    for column, wide in enumerate(widths):
        if group and taken + len(_BETWEEN) + wide > width():
            yield group
            group, taken = [], len(_BETWEEN) * 2
        taken += wide + (len(_BETWEEN) if group else 0)
        group.append(column)
    yield group


def _line(row: Sequence[str], widths: Sequence[int], group: Sequence[int]) -> str:
    indent = _BETWEEN * 2 if group[0] else ""
    line = indent + _BETWEEN.join(row[column].ljust(widths[column]) for column in group).rstrip()
    return line if len(line) <= width() else folded(line.strip(), indent, f"{indent}  ")


def _as_json(value: object) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
