"""How a batch of instructions stands in an answer: every row accounted for, and what may be done about each."""

from __future__ import annotations

from collections.abc import Iterable

from positions_mcp.domain.batch.rows import BatchReport, RowOutcome, RowReport, UnexpectedRow
from positions_mcp.domain.money import plain
from positions_mcp.domain.text import clean

_COLUMNS = ("row", "asked", "symbol", "outcome", "status", "accepted", "id", "key", "echo", "cause", "reason", "note")
_ALWAYS = 4
_MOST_AS_PLANNED = 50
"""Rows that are sent or accepted as asked; beyond these, only rows that need a person are shown."""


def batch_table(batch: BatchReport) -> tuple[list[str], list[list[str]]]:
    """Columns that say something, and the rows in the plan's order, then those that nobody asked for."""
    left = _MOST_AS_PLANNED
    rows = []
    for row in batch.rows:
        if _is_as_planned(row):
            left -= 1
            if left < 0:
                continue
        rows.append(_row(row))
    rows += [_unexpected(row) for row in batch.unexpected]
    rows += [["-", "", "", "unreadable", "", "", "", "", "", "", clean(reason, 160), ""] for reason in batch.unreadable]
    spoken = [place for place in range(len(_COLUMNS)) if place < _ALWAYS or any(row[place] for row in rows)]
    return [_COLUMNS[place] for place in spoken], [[row[place] for place in spoken] for row in rows]


def advice(batch: BatchReport) -> str:
    """What may be done next, once for all rows it holds for."""
    rows_of: dict[str, list[int]] = {}
    for row in batch.rows:
        rows_of.setdefault(row.advice, []).append(row.index + 1)
    said = [f"{_named(rows, len(batch.rows))}: {each}" for each, rows in rows_of.items()]
    if (hidden := sum(map(_is_as_planned, batch.rows)) - _MOST_AS_PLANNED) > 0:
        said.append(f"{hidden} more rows are sent or accepted as asked and not shown: list_instructions pages them.")
    return " ".join(said)


def _row(row: RowReport) -> list[str]:
    return [
        str(row.index + 1),
        f"{row.instruction_type} {row.quantity}",
        row.symbol,
        row.outcome,
        row.status or "",
        "" if row.accepted_quantity is None else plain(row.accepted_quantity),
        row.server_id or "",
        clean(row.key, 128),
        row.key_echo,
        row.reason_code or "",
        row.reason or "",
        clean("; ".join(_notes(row)), 400),
    ]


def _notes(row: RowReport) -> Iterable[str]:
    if row.deviation:
        yield f"DEVIATED: {row.deviation}"
    if row.duplicate_of:
        yield f"the original is {row.duplicate_of}"
    if row.note:
        yield row.note.rstrip(".")
    if row.said and row.outcome is not RowOutcome.REJECTED:
        yield row.said


def _unexpected(row: UnexpectedRow) -> list[str]:
    again = "" if row.repeats is None else f"row {row.repeats + 1} again"
    quantity = "?" if row.quantity is None else plain(row.quantity)
    asked, key = f"{row.instruction_type} {quantity}", row.key or ""
    return ["-", asked, row.instrument, "unexpected", row.status, "", row.server_id or "", key, "", "", "", again]


def _is_as_planned(row: RowReport) -> bool:
    fine = row.outcome in (RowOutcome.SENT, RowOutcome.ACCEPTED) and row.status in ("SENT", "ACCEPTED")
    return fine and not row.deviation and not row.is_accepted_for_less


def _named(rows: list[int], of: int) -> str:
    if len(rows) == of and of > 1:
        return "Every row"
    shown = ", ".join(map(str, rows[:20]))
    return f"Row{'' if len(rows) == 1 else 's'} {shown}{f' and {len(rows) - 20} more' if len(rows) > 20 else ''}"
