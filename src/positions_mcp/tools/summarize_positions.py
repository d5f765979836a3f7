"""`summarize_positions`: how an account stands, in a few lines however many positions it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.portfolio.expiring import ExpiringOption, Week
from positions_mcp.domain.portfolio.groups import Group, GroupBy, share
from positions_mcp.domain.portfolio.summary import Summary
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import clean
from positions_mcp.tools._arguments import AccountArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition
from positions_mcp.tools._format import (
    EXPIRY_COLUMNS,
    LOCKED_BY,
    Heading,
    contradictions,
    counted,
    expiry_cells,
    heading,
    missing,
    missing_line,
    names_where_held,
    number,
    short_moneyness,
    sums,
    table,
)

_DEFAULT_TOP = 5
_FEW = 3
_CONCENTRATION = 5


class Expiring(Data):
    """Options that expire in the rest of the trading week."""

    first_day: str
    last_day: str
    counts: dict[str, int]
    columns: list[str]
    rows: list[list[str]]


class Output(Heading):
    """What `summarize_positions` answers as data."""

    positions: int
    totals: dict[str, str]
    missing: dict[str, int] | None = None
    locked_positions: int
    warnings: list[str] | None = None
    group_columns: list[str]
    groups: list[list[str]]
    concentration_pct: dict[str, str]
    """Share that the largest underlyings have of gross."""
    largest: list[list[str]]
    """Symbol and market value."""
    winners_today: list[list[str]]
    """Symbol and profit or loss since the previous close."""
    losers_today: list[list[str]]
    expiring: Expiring


class Arguments(ToolArguments):
    """Which account, and how it is grouped."""

    account_id: AccountArgument = None
    group_by: Annotated[
        Literal["underlying", "instrument_type", "side", "expiry"] | None,
        Field(description="Default underlying, with its options"),
    ] = None
    top: Annotated[int | None, Field(ge=1, le=50, description="Rows a list; default 5, of positions 3")] = None


async def summarize_positions(call: Call, given: Arguments) -> Answer:
    """Summarize what an account holds. Raises the errors of the reader."""
    context = call.context
    account = context.account(given.account_id)
    by, count = GroupBy(given.group_by or "underlying"), given.top or _DEFAULT_TOP
    week, few = Week.of(new_york_day(context.clock.now())), given.top or _FEW
    summary, reading = await context.positions.gather_positions(
        account, lambda: Summary(by, week, few), on_page=call.page_progress()
    )
    name_of = names_where_held(summary.symbols)
    totals, groups = summary.totals, summary.groups
    soon = summary.expiring(reading)
    group_columns, group_rows = _group_table(groups, by, totals, count)
    data = Output(
        **heading(context, account, reading.as_of).model_dump(),
        positions=totals.positions,
        totals=sums(totals, "net", "gross", "long", "short", "day_pnl", "unrealized_pnl"),
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        warnings=[*reading.doubts, *contradictions(totals)] or None,
        group_columns=group_columns,
        groups=group_rows,
        concentration_pct=_concentration(summary.by_underlying, totals),
        largest=[[name_of(position), number(position.market_value)] for position in summary.largest],
        winners_today=_moves(summary.winners, name_of),
        losers_today=_moves(summary.losers, name_of),
        expiring=Expiring(
            first_day=week.first.isoformat(),
            last_day=week.last.isoformat(),
            counts=_counts(soon, week, summary.unknown_expiry),
            columns=["symbol", "quantity", *EXPIRY_COLUMNS, "market_value"],
            rows=[_expiring_row(each, name_of) for each in soon[:count]],
        ),
    )
    return Answer(_text(data), data)


def _group_table(groups: Sequence[Group], by: GroupBy, totals: Totals, count: int) -> tuple[list[str], list[list[str]]]:
    """Columns and at most `count` rows, with one more row for the rest: the last group, or the sum of several."""
    fits = count + 1 if len(groups) == count + 1 else count
    shown = [(_group_name(each.name), each.totals) for each in groups[:fits]]
    if rest := groups[fits:]:
        shown.append((f"({len(rest)} more)", Totals.merged(each.totals for each in rest)))
    columns = [by.value, "positions", "net", "gross", "gross_pct", "day_pnl", "unrealized_pnl"]
    rows = [
        [
            name,
            str(part.positions),
            number(part.net.total),
            number(part.gross.total),
            number(share(part, totals)),
            number(part.day_pnl.total),
            number(part.unrealized_pnl.total),
        ]
        for name, part in shown
    ]
    if totals.incomplete:
        columns.append("incomplete")
        for row, (_, part) in zip(rows, shown, strict=True):
            row.append(str(part.incomplete))
    return columns, rows


def _group_name(name: str) -> str:
    shown = clean(name, 40)
    # What had to be cleaned must not pass for the symbol that it then looks like.
    return shown if shown == name else f"{shown} (altered)".lstrip()


def _concentration(groups: Sequence[Group], totals: Totals) -> dict[str, str]:
    shares: dict[str, Decimal | None] = {}
    for name, count in (("largest", 1), (f"largest_{_CONCENTRATION}", _CONCENTRATION)):
        if len(groups) >= count:
            shares[name] = share(Totals.merged(each.totals for each in groups[:count]), totals)
    return {name: number(value) for name, value in shares.items() if value is not None}


def _moves(positions: Sequence[Holding], name_of: Callable[[Holding], str]) -> list[list[str]]:
    return [[name_of(position), number(position.daily_unrealized_pnl)] for position in positions]


def _counts(soon: Sequence[ExpiringOption], week: Week, unknown_expiry: int) -> dict[str, int]:
    counts = Counter(short_moneyness(each.moneyness) for each in soon)
    past = sum(1 for each in soon if each.contract.expiration < week.first)
    more = {"past_expiration": past, "not_counted_expiry_unknown": unknown_expiry}
    return {"total": len(soon), **counts, **{name: count for name, count in more.items() if count}}


def _expiring_row(option: ExpiringOption, name_of: Callable[[Holding], str]) -> list[str]:
    return [
        name_of(option.position),
        number(option.position.quantity),
        *expiry_cells(option),
        number(option.position.market_value),
    ]


def _text(data: Output) -> str:
    lines = [data.text, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    if not data.positions:
        return "\n".join([*lines, "No positions."])
    lines.append(
        f"{counted(data.positions)}: {', '.join(f'{name} {value}' for name, value in data.totals.items())}; "
        f"{data.locked_positions} locked by {LOCKED_BY}"
        f"{' (list_positions locked=true)' if data.locked_positions else ''}."
    )
    lines += missing_line(data.missing)
    lines.append(table(data.group_columns, data.groups))
    if data.concentration_pct:
        shares = ", ".join(f"{name} {value}%" for name, value in data.concentration_pct.items())
        lines.append(f"Concentration (underlyings, of gross): {shares}.")
    lines.append(_pairs("Largest", data.largest))
    lines.append(_pairs("Winners of the day", data.winners_today))
    lines.append(_pairs("Losers of the day", data.losers_today))
    lines.append(_expiring_text(data.expiring))
    return "\n".join(lines)


def _pairs(title: str, pairs: Sequence[Sequence[str]]) -> str:
    return f"{title}: {'; '.join(table(pair, ()).replace(',', ' ') for pair in pairs) or 'none'}."


def _expiring_text(data: Expiring) -> str:
    days = f"{data.first_day} to {data.last_day}" if data.first_day != data.last_day else "today"
    counts = dict(data.counts)
    total = counts.pop("total")
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    if not total:
        return f"Options expiring {days}: none{f' ({said})' if said else ''}."
    shown = (
        f"; first {len(data.rows)}, all: list_positions expires_by={data.last_day}" if total > len(data.rows) else ""
    )
    if "unknown" in counts:
        shown += "; unknown: the underlying is not held or has no price"
    return f"Options expiring {days}: {total} ({said}){shown}:\n{table(data.columns, data.rows)}"


TOOL = ToolDefinition(
    name="summarize_positions",
    title="Summarize positions",
    description=(
        "How an account stands: net, gross, long, short, P&L, groups, concentration, largest, today's winners and "
        "losers, options expiring this week and whether they are in the money."
    ),
    arguments=Arguments,
    output=Output,
    handler=summarize_positions,
    effect=Effect.READS,
)
