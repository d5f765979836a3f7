"""`summarize_positions`: how an account stands, in a few lines however many positions it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.portfolio.groups import Group, GroupBy, GroupOrder, ordered, share, worst_of_day
from positions_mcp.domain.portfolio.select import Week
from positions_mcp.domain.portfolio.summary import Summarizing, Summary
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import clean, counted
from positions_mcp.ports import OnPage
from positions_mcp.tools._accounts import asks_all, heading_of_all, over_accounts
from positions_mcp.tools._arguments import ReadAccountArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._day import closed_altogether, day_line, day_of
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._evening import Evening
from positions_mcp.tools._expiring_answer import Expiring, expiring_of, expiring_text
from positions_mcp.tools._format import (
    FIGURES,
    Heading,
    contradictions,
    heading,
    locked_words,
    missing,
    missing_line,
    names_of,
    number,
    sums,
    table,
)
from positions_mcp.tools._tonight import early_assignment, exposure_of, read_beside
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

_DEFAULT_TOP = 5
_FEW = 3
_CONCENTRATION = 5
_TOTALS = ("net", "gross", "long", "short")
_GROUP_COLUMNS = ["positions", "net", "gross_pct", "day_pnl", "unrealized_pnl", "unrealized_pnl_pct", "cost_basis"]


class Output(Heading):
    """What `summarize_positions` answers as data."""

    positions: int
    totals: dict[str, str]
    today: dict[str, str] | None = None
    """What the profit or loss of the day counts, and whose day it is."""
    missing: dict[str, int] | None = None
    locked_positions: int
    warnings: list[str] | None = None
    group_columns: list[str]
    groups: list[list[str]]
    exposure: dict[str, str] | None = None
    """Beside market value: what assignment of short options would pay or receive, and the delta-adjusted net."""
    concentration_pct: dict[str, str]
    """Share that the largest underlyings have of gross market value."""
    largest: list[list[str]]
    """Symbol and market value."""
    winners_today: list[list[str]]
    """Symbol and profit or loss since the previous close."""
    losers_today: list[list[str]]
    realized_today: list[list[str]] | None = None
    """Symbol and the realized part of what was closed of it today."""
    expiring: Expiring | None = None


class Arguments(ToolArguments):
    """Which account, and how it is grouped."""

    account_id: ReadAccountArgument = None
    group_by: Annotated[
        Literal["underlying", "instrument_type", "side", "expiry"] | None, Field(description="Default underlying")
    ] = None
    sort_by: Annotated[Literal["value", "day_pnl", "unrealized_pnl"] | None, Field(description="Order of groups")] = (
        None
    )
    sort_direction: Annotated[Literal["ASC", "DESC"] | None, Field(description="ASC: losers first")] = None
    top: Annotated[int | None, Field(ge=1, le=50, description="Groups shown, default 5")] = None


async def summarize_positions(call: Call, given: Arguments) -> Answer:
    """Summarize what an account holds. Raises the errors of the reader, and InvalidInput."""
    context = call.context
    if given.sort_direction and not given.sort_by:
        raise InvalidInput("sort_direction was given without sort_by.", hint="Give both, or neither.")
    if asks_all(context, given.account_id):
        return await _of_all(call, given)
    account = context.account(given.account_id)
    summary, reading = await _read(context, account, given, call.page_progress())
    soon = await beside_others(summary.count, summary.expiring)
    held = summary.obligations
    beside = await read_beside(context, account, reading, soon, held.options or held.shorts)
    early = await _early(context, summary, beside.evening)

    def answer() -> Answer:
        data = _data(context, heading(context, account, reading.as_of), summary, given)
        if data.today is not None:
            data.today.update(closed_altogether(context, beside.balances, summary.totals))
        data = data.model_copy(
            update={
                "warnings": [*reading.doubts, *contradictions(summary.totals)] or None,
                "exposure": exposure_of(summary, beside, early),
                "expiring": expiring_of(context, summary, soon, beside),
            }
        )
        return Answer(_text(context, data), data)

    return await beside_others(summary.count, answer)


async def _read(
    context: ToolContext, account: AccountId, given: Arguments, on_page: OnPage | None = None
) -> tuple[Summary, Reading]:
    by = GroupBy(given.group_by or "underlying")
    week = Week.of(new_york_day(context.clock.now()), context.calendar)
    return await context.positions.gather_positions(account, Summarizing(by, week, _FEW), on_page=on_page)


async def _early(context: ToolContext, summary: Summary, evening: Evening) -> str:
    held = summary.obligations
    if len(held.shorts) < held.count:
        return "not known: too many options" if held.calls or held.not_known else ""
    options = map(evening.priced, summary.options())
    return await early_assignment(context, options, evening.facts.contracts)


async def _of_all(call: Call, given: Arguments) -> Answer:
    """One line for each account, and the sum; the groups are the accounts."""
    context = call.context

    async def read(account: AccountId) -> tuple[Summary, Reading]:
        return await _read(context, account, given)

    read_all = await over_accounts(context, read)
    totals_of = {account: summary.totals for account, (summary, _) in read_all.answered}
    totals = Totals.merged(totals_of.values())
    doubts = [f"account {account}: {doubt}" for account, (_, reading) in read_all.answered for doubt in reading.doubts]
    data = Output(
        **heading_of_all(context, (reading.as_of for _, (_, reading) in read_all.answered)).model_dump(),
        positions=totals.positions,
        totals=sums(totals, *_TOTALS, *FIGURES),
        today=day_of(context, totals),
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        warnings=[*read_all.warnings, *doubts, *contradictions(totals)] or None,
        group_columns=["account", *_GROUP_COLUMNS],
        groups=[[str(account), *_group_cells(part, totals)] for account, part in totals_of.items()],
        concentration_pct={},
        largest=[],
        winners_today=[],
        losers_today=[],
    )
    lines = [*_said_before_groups(context, data), table(data.group_columns, data.groups)]
    return Answer("\n".join([*lines, "Groups, movers and expiries of one account: give account_id."]), data)


def _data(context: ToolContext, head: Heading, summary: Summary, given: Arguments) -> Output:
    name_of, totals = names_of(summary.spellings), summary.totals
    by, groups = GroupBy(given.group_by or "underlying"), summary.groups
    if given.sort_by:
        groups = ordered(groups, GroupOrder(given.sort_by), descending=given.sort_direction != "ASC")
    columns, rows = _group_table(groups, by, totals, given.top)
    return Output(
        **head.model_dump(),
        positions=totals.positions,
        totals=sums(totals, *_TOTALS, *FIGURES),
        today=day_of(context, totals),
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        group_columns=columns,
        groups=rows,
        concentration_pct=_concentration(summary.by_underlying, totals),
        largest=[[name_of(position), number(position.value)] for position in summary.largest],
        winners_today=_moves(summary.winners, name_of),
        losers_today=_moves(summary.losers, name_of),
        realized_today=[[name_of(each), number(each.daily_realized_pnl)] for each in summary.realized] or None,
    )


def _group_table(
    groups: Sequence[Group], by: GroupBy, totals: Totals, asked: int | None
) -> tuple[list[str], list[list[str]]]:
    """Columns and a row for each group shown: those asked for, or five; the day's worst one; the sum of the rest."""
    worst = worst_of_day(groups)
    count = asked or _DEFAULT_TOP
    if len(groups) > count + 1 and not asked and worst in groups[count:]:
        count -= 1  # the worst is one of the five
    fits = count + 1 if len(groups) == count + 1 else count
    named = [*groups[:fits], *(each for each in groups[fits:] if each is worst)]
    shown = [(_group_name(each.name), each.totals) for each in named]
    if rest := [each for each in groups[fits:] if each is not worst]:
        shown.append((f"({len(rest)} more)", Totals.merged(each.tally for each in rest)))
    columns = [by.value, *_GROUP_COLUMNS]
    rows = [[name, *_group_cells(part, totals)] for name, part in shown]
    if totals.incomplete:
        columns.append("incomplete")
        for row, (_, part) in zip(rows, shown, strict=True):
            row.append(str(part.incomplete))
    return columns, rows


def _group_cells(part: Totals, whole: Totals) -> list[str]:
    """What stands under `_GROUP_COLUMNS`."""
    return [
        str(part.positions),
        number(part.net.total),
        number(share(part, whole)),
        number(part.day_pnl.total),
        number(part.unrealized_pnl.total),
        number(part.unrealized_pnl_pct),
        number(part.cost_basis.total),
    ]


def _group_name(name: str) -> str:
    shown = clean(name, 40)
    # What had to be cleaned must not pass for the symbol that it then looks like.
    return shown if shown == name else f"{shown} (altered)".lstrip()


def _concentration(groups: Sequence[Group], totals: Totals) -> dict[str, str]:
    shares: dict[str, Decimal | None] = {}
    for name, count in (("largest", 1), (f"largest_{_CONCENTRATION}", _CONCENTRATION)):
        if len(groups) >= count:
            shares[name] = share(Totals.merged(each.tally for each in groups[:count]), totals)
    return {name: number(value) for name, value in shares.items() if value is not None}


def _moves(positions: Sequence[Holding], name_of: Callable[[Holding], str]) -> list[list[str]]:
    return [[name_of(position), number(position.day_pnl)] for position in positions]


def _said_before_groups(context: ToolContext, data: Output) -> list[str]:
    lines = [data.text, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    if not data.positions:
        return [*lines, "No positions."]
    lines.append(
        f"{counted(data.positions)}: {', '.join(f'{name} {value}' for name, value in data.totals.items())}; "
        f"{locked_words(data.locked_positions)}"
        f"{' (list_positions locked=true)' if data.locked_positions else ''}."
    )
    lines += day_line(context, data.today)
    if data.realized_today:
        lines.append(_pairs("Realized today, of what is still listed", data.realized_today))
    return [*lines, *missing_line(data.missing)]


def _text(context: ToolContext, data: Output) -> str:
    lines = _said_before_groups(context, data)
    if not data.positions:
        return "\n".join(lines)
    lines.append(table(data.group_columns, data.groups))
    if data.concentration_pct:
        shares = ", ".join(f"{name} {value}%" for name, value in data.concentration_pct.items())
        lines.append(f"Concentration (underlyings, of gross market value): {shares}.")
    if data.exposure:
        lines.append(_exposure_line(data.exposure))
    lines.append(_pairs("Largest", data.largest))
    lines.append(_pairs("Winners of the day", data.winners_today))
    lines.append(_pairs("Losers of the day", data.losers_today))
    if data.expiring:
        lines.append(expiring_text(data.expiring))
    return "\n".join(lines)


def _exposure_line(exposure: dict[str, str]) -> str:
    words = {name: name.replace("_", " ") for name in exposure}
    obliged = [f"{words[name]} {value}" for name, value in exposure.items() if name.startswith("short")]
    adjusted = [f"{words[name]} {value}" for name, value in exposure.items() if name.startswith("delta")]
    assumed = f" ({exposure['multipliers']})" if "multipliers" in exposure and obliged else ""
    at_strikes = f"Assignment notional at the strikes{assumed}: {', '.join(obliged) or 'none'}"
    early = f" May be assigned early: {exposure['early_assignment']}." if "early_assignment" in exposure else ""
    return f"{at_strikes}; {', '.join(adjusted)}.{early}"


def _pairs(title: str, pairs: Sequence[Sequence[str]]) -> str:
    return f"{title}: {'; '.join(table(pair, ()).replace(',', ' ') for pair in pairs) or 'none'}."


TOOL = ToolDefinition(
    name="summarize_positions",
    title="Summarize positions",
    description=(
        "How an account stands: totals, P&L, groups, concentration, the day's movers, options expiring this week."
    ),
    arguments=Arguments,
    output=Output,
    handler=summarize_positions,
    effect=Effect.READS,
    is_drawn=True,
)
