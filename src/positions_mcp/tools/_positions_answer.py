"""What `list_positions` answers as data, and the text of it."""

from __future__ import annotations

from positions_mcp.domain.text import counted
from positions_mcp.tools._day import cash_line, day_line
from positions_mcp.tools._format import Heading, locked_words, missing_line, table
from positions_mcp.tools.context import ToolContext


class Output(Heading):
    """What `list_positions` answers as data."""

    held: int
    matching: int
    filter: str | None = None
    order: str
    totals: dict[str, str]
    today: dict[str, str] | None = None
    """What the profit or loss of the day counts, and whose day it is."""
    cash: dict[str, str] | None = None
    """Where cash is asked for."""
    missing: dict[str, int] | None = None
    locked_positions: int
    cutoff: str | None = None
    """Until when what expires first may be instructed, where that is asked for."""
    warnings: list[str] | None = None
    first: int
    last: int
    columns: list[str]
    rows: list[list[str]]
    next_cursor: str | None = None
    """Absent on the last page."""


def said_before_rows(context: ToolContext, data: Output) -> list[str]:
    said = f"{data.matching} of {counted(data.held)} ({data.filter})" if data.filter else counted(data.matching)
    lines = [data.text, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    cash = [cash_line(data.cash)] if data.cash else []
    if not data.matching:
        return [*lines, f"{said}.", *cash]
    totals = ", ".join(f"{name} {value}" for name, value in data.totals.items())
    lines.append(f"{said}: {totals}; {locked_words(data.locked_positions)}.")
    return [*lines, *cash, *day_line(context, data.today), *missing_line(data.missing)]


def text_of(context: ToolContext, data: Output) -> str:
    lines = said_before_rows(context, data)
    if not data.rows:
        return "\n".join(lines)
    if data.cutoff:
        lines.append(f"Cut-off for exercise instructions: {data.cutoff}. Nothing sent: at these prices.")
    lines.append(f"Rows {data.first}-{data.last} of {data.matching} by {data.order}:")
    lines.append(table(data.columns, data.rows))
    if data.next_cursor:
        lines.append(f"More: cursor={data.next_cursor} (alone; the same snapshot, kept 10 minutes).")
    return "\n".join(lines)
