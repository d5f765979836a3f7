"""What was measured against what, as a table for a terminal and for a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from benchmarks.timing import Times

Amount = Literal["requests", "writes", "readings"]
Unit = Literal["tokens", "ms", "s", "MB", "µs/position", "%", "calls/s", "closes/s", "requests/min", Amount]
Base = Literal["floor", "peer", "earlier"]
COLUMNS = {name: name for name in ("what", "measured", "floor", "peer", "earlier", "ratio", "target", "pass")}
"""The columns of a table, and the heading of each: a table may have fewer, under other headings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One measurement and its target: `limit` bounds the ratio where there is a `base`, otherwise what was measured.

    It bounds from above, or from below what is better the more there is of it.
    """

    what: str
    measured: float | None
    unit: Unit
    limit: float | None
    base: float | None = None
    """What it is divided by."""
    base_is: Base = "floor"
    note: str = ""
    at_least: bool = False
    absolute: bool = False
    """The limit bounds what was measured, and the base is only told beside it."""

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
        value = self.measured if self._is_absolute else self.ratio
        return value is not None and (value >= self.limit if self.at_least else value <= self.limit)

    @property
    def cells(self) -> dict[str, str]:
        """The row of the table, by column."""
        return {
            "what": self.what,
            "measured": _shown(self.measured, self.unit) if self.measured is not None else f"not measured: {self.note}",
            **{name: _shown(self.base, self.unit) if self.base_is == name else "" for name in get_args(Base)},
            "ratio": "" if self.ratio is None else f"{self.ratio:.3f}",
            "target": self._target,
            "pass": {True: "yes", False: "NO", None: ""}[self.passed],
        }

    @property
    def base_column(self) -> str:
        """The heading under which its base stands; empty where it has none."""
        return self.base_is if self.base else ""

    @property
    def _is_absolute(self) -> bool:
        return self.base is None or self.absolute

    @property
    def _target(self) -> str:
        if self.limit is None:
            return ""
        bound = "≥" if self.at_least else "≤"
        return f"{bound} {_shown(self.limit, self.unit) if self._is_absolute else f'{self.limit:g} × {self.base_is}'}"


def text_table(findings: Iterable[Finding], columns: Mapping[str, str] = COLUMNS) -> str:
    """The table in columns."""
    rows = [tuple(columns.values()), *(_row(finding, columns) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    lines = [_in_columns(row, widths) for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def markdown_table(findings: Iterable[Finding], columns: Mapping[str, str] = COLUMNS) -> str:
    """The same in Markdown."""
    under = ("---", *("---:",) * (len(columns) - 2), "---")
    rows = [tuple(columns.values()), under, *(_row(finding, columns) for finding in findings)]
    return "\n".join(map(_line, rows))


def with_rows(document: str, findings: Iterable[Finding], columns: Mapping[str, str] = COLUMNS) -> str:
    """A file with such a table, with these rows instead of the ones of the same names, and new ones at its end."""
    lines = document.split("\n")
    for finding in findings:
        table = [number for number, line in enumerate(lines) if _names(line, columns) is not None]
        same = [number for number in table if _names(lines[number], columns) == (finding.what, finding.base_column)]
        row = _line(_row(finding, columns))
        if same:
            lines[same[0]] = row
        else:
            lines.insert(table[-1] + 1, row)
    return "\n".join(lines)


def dated(document: str, parts: Sequence[str], load: str) -> str:
    """A file with such a table, saying of these parts when and on how busy a machine they were measured alone."""
    name = f"- rows of `python -m benchmarks {' '.join(parts)} --write`:"
    day = date.today().isoformat()  # noqa: DTZ011  # the day of whoever measures
    lines = [line for line in document.split("\n") if not line.startswith(name)]
    table = next(number for number, line in enumerate(lines) if line.startswith("| "))
    lines.insert(table - 1, f"{name} {day}, load average over 1, 5 and 15 minutes {load}")
    return "\n".join(lines)


def _row(finding: Finding, columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(finding.cells[column] for column in columns)


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def _names(line: str, columns: Mapping[str, str]) -> tuple[str, str] | None:
    """What a row measures and what it is beside; None for a line that is no row."""
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not line.startswith("| ") or len(cells) != len(columns) or cells[0] in (columns["what"], "---"):
        return None
    filled = [name for name, cell in zip(columns, cells, strict=True) if name in get_args(Base) and cell]
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
    if unit in get_args(Amount):
        return f"{value:,.{0 if value == int(value) else 1}f}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
