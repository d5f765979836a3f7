"""What was measured against what, as a table for a terminal and for a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from benchmarks.timing import Times

Unit = Literal["tokens", "ms", "s", "MB", "µs/position", "%"]
Base = Literal["floor", "peer", "earlier"]
HEADINGS = ("what", "measured", "floor", "peer", "earlier", "ratio", "target", "pass")


@dataclass(frozen=True, slots=True)
class Finding:
    """One measurement and its target: `limit` bounds the ratio where there is a `base`, otherwise what was measured."""

    what: str
    measured: float | None
    unit: Unit
    limit: float | None
    base: float | None = None
    """What it is divided by."""
    base_is: Base = "floor"
    note: str = ""

    @classmethod
    def of(cls, what: str, measured: Times, limit: float | None, base: Times, base_is: Base = "floor") -> Finding:
        """A comparison of times that took turns."""
        return cls(what, 1e3 * measured.best, "ms", limit, 1e3 * base.best, base_is)

    @property
    def ratio(self) -> float | None:
        """Measured by base."""
        return self.measured / self.base if self.measured is not None and self.base else None

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.limit is None:
            return None
        value = self.measured if self.base is None else self.ratio
        return value is not None and value <= self.limit

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return (
            self.what,
            _shown(self.measured, self.unit) if self.measured is not None else f"not measured: {self.note}",
            *(_shown(self.base, self.unit) if self.base_is == name else "" for name in get_args(Base)),
            ratio,
            self._target,
            {True: "yes", False: "NO", None: ""}[self.passed],
        )

    @property
    def base_column(self) -> str:
        """The heading under which its base stands; empty where it has none."""
        return self.base_is if self.base else ""

    @property
    def _target(self) -> str:
        if self.limit is None:
            return ""
        if self.base is None:
            return f"≤ {_shown(self.limit, self.unit)}"
        return f"≤ {self.limit:g} × {self.base_is}"


def text_table(findings: Iterable[Finding]) -> str:
    """The table in columns."""
    rows = [HEADINGS, *(finding.cells for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [_in_columns(row, widths) for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def markdown_table(findings: Iterable[Finding]) -> str:
    """The same in Markdown."""
    rows = [HEADINGS, ("---", *("---:",) * (len(HEADINGS) - 2), "---"), *(finding.cells for finding in findings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_rows(document: str, findings: Iterable[Finding]) -> str:
    """A file with such a table, with these rows instead of the ones of the same names, and new ones at its end."""
    lines = document.split("\n")
    for finding in findings:
        table = [number for number, line in enumerate(lines) if _names(line) is not None]
        same = [number for number in table if _names(lines[number]) == (finding.what, finding.base_column)]
        row = f"| {' | '.join(finding.cells)} |"
        if same:
            lines[same[0]] = row
        else:
            lines.insert(table[-1] + 1, row)
    return "\n".join(lines)


def _names(line: str) -> tuple[str, str] | None:
    """What a row measures and what it is beside; None for a line that is no row."""
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not line.startswith("| ") or len(cells) != len(HEADINGS) or cells[0] in (HEADINGS[0], "---"):
        return None
    filled = [name for name, cell in zip(HEADINGS, cells, strict=True) if name in get_args(Base) and cell]
    return cells[0], "".join(filled)


def _in_columns(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *middle = [
        cell.ljust(width) if not index else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join([first, *middle])


def _shown(value: float | None, unit: Unit) -> str:
    if value is None:
        return ""
    if unit == "tokens":
        return f"{value:,.0f}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
