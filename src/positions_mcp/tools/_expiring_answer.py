"""The options that expire in the rest of the trading week, as a summary answers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.portfolio.select import ExpiringOption, Week
from positions_mcp.domain.portfolio.summary import Summary
from positions_mcp.tools._definition import Data
from positions_mcp.tools._evening import EVENING_COLUMNS, Evening, cutoffs_of
from positions_mcp.tools._format import names_of, number, short_moneyness, table
from positions_mcp.tools._tonight import BesidePositions, evening_words, tonight_of
from positions_mcp.tools.context import ToolContext

_WORDS = {"past_expiration": "past expiration", "not_counted_expiry_unknown": "not counted as their expiry is unknown:"}
_ALL, _FIRST, _MANY = 5, 2, 20
"""All of so few options that expire are shown, of more only the first, of many none: `list_positions` has them."""


class Expiring(Data):
    """Options that expire in the rest of the trading week."""

    first_day: str
    last_day: str
    cutoff: str | None = None
    """Until when exercise instructions are taken for the first of those days."""
    counts: dict[str, int]
    evening: list[str] | None = None
    """Which evening comes first, assignments of short options then, and its cash, if nothing more is sent."""
    columns: list[str]
    rows: list[list[str]]


def expiring_of(
    context: ToolContext, summary: Summary, soon: Sequence[ExpiringOption], beside: BesidePositions
) -> Expiring:
    """What expires, of many the first rows, and what the first evening does."""
    shown = soon if len(soon) <= _ALL else soon[:_FIRST] if len(soon) <= _MANY else []
    tonight, name_of = tonight_of(context, soon, beside), names_of(summary.spellings)
    return Expiring(
        first_day=summary.week.first.isoformat(),
        last_day=summary.week.last.isoformat(),
        cutoff=cutoffs_of(context, shown or soon[:_FIRST], beside.evening.facts.contracts) or None,
        counts=_counts(list(map(beside.evening.priced, soon)), summary.week, summary.unknown_expiry),
        evening=[evening_words(context, tonight.day), *tonight.lines] if tonight else None,
        columns=["symbol", "quantity", *EVENING_COLUMNS, "market_value"] if shown else [],
        rows=[_expiring_row(each, name_of, beside.evening) for each in shown],
    )


def expiring_text(data: Expiring) -> str:
    days = f"{data.first_day} to {data.last_day}" if data.first_day != data.last_day else "today"
    counts = dict(data.counts)
    total = counts.pop("total")
    said = ", ".join(f"{_WORDS.get(name, name)} {count}" for name, count in counts.items())
    if not total:
        return f"Options expiring {days}: none{f' ({said})' if said else ''}."
    first = f"first {len(data.rows)}, all: " if data.rows else ""
    shown = f"; {first}list_positions expires_by={data.last_day}" if total > len(data.rows) else ""
    if "unknown" in counts:
        shown += "; unknown: no price of the underlying, an adjusted contract, or settled by today's opening"
    named = data.evening or []
    evening = f"{named[0]}, if nothing more is sent: {'; '.join(named[1:])}.\n" if named else ""
    at = " Nothing sent: at these prices." if data.rows else ""
    ends = f"{evening}Cut-off for exercise instructions: {data.cutoff}.{at}\n"
    rows = f":\n{table(data.columns, data.rows)}" if data.rows else "."
    return f"Options expiring {days}: {total} ({said}){shown}{rows}\n{ends}".rstrip()


def _counts(soon: Sequence[ExpiringOption], week: Week, unknown_expiry: int) -> dict[str, int]:
    counts = Counter(short_moneyness(each.moneyness) for each in soon)
    past = sum(1 for each in soon if each.contract.expiration < week.first)
    more = {"past_expiration": past, "not_counted_expiry_unknown": unknown_expiry}
    return {"total": len(soon), **counts, **{name: count for name, count in more.items() if count}}


def _expiring_row(option: ExpiringOption, name_of: Callable[[Holding], str], evening: Evening) -> list[str]:
    return [
        name_of(option.position),
        number(option.position.quantity),
        *evening.cells(option),
        number(option.position.value),
    ]
