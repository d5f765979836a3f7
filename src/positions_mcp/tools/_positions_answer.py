"""What `list_positions` answers as data, and the text of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.many import a_few_of
from positions_mcp.domain.money import ZERO, exact_sum
from positions_mcp.domain.portfolio.resolve import looked_up
from positions_mcp.domain.portfolio.select import Choice
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import counted
from positions_mcp.tools._accounts import heading_of_all, over_accounts
from positions_mcp.tools._call import Call
from positions_mcp.tools._day import cash_line, cash_of, day_line, day_of, read_balances
from positions_mcp.tools._definition import Answer
from positions_mcp.tools._format import (
    FIGURES,
    MISSING,
    Heading,
    contradictions,
    locked_words,
    missing,
    missing_line,
    number,
    sums,
    table,
)
from positions_mcp.tools._position_filter import filter_of, filter_words, left_out
from positions_mcp.tools._turns import beside_others
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


_ACCOUNT_FIGURES = ("net", "long", "short", "day_pnl", "unrealized_pnl", "unrealized_pnl_pct")


async def positions_of_all(call: Call, given: dict[str, Any]) -> Answer:
    """One line for each account, and the sum."""
    context = call.context
    wanted = filter_of(given, new_york_day(context.clock.now()), context.calendar)
    by_quantity = len(wanted.instruments) == 1

    async def read(account: AccountId) -> tuple[int, Totals, Decimal, list[str], Reading]:
        held, reading = await context.positions.gather_positions(account, Whole[Holding])

        def reckoned() -> tuple[Totals, Decimal, list[str]]:
            choice, totals, quantity = Choice(held, wanted), Totals(), ZERO
            for some in a_few_of(held):
                chosen = choice.among(some)
                totals = Totals.merged((totals, Totals.of(chosen)))
                quantity = exact_sum((quantity, *(each.quantity for each in chosen)))
            return totals, quantity, left_out(held, wanted)

        with looked_up(reading.doubts):
            totals, quantity, lacking = await beside_others(len(held), reckoned)
        return len(held), totals, quantity, [*reading.doubts, *lacking], reading

    read_all = await over_accounts(context, read)
    totals = Totals.merged(each for _, (_, each, *_) in read_all.answered)
    rows = []
    for account, (count, of_account, quantity, *_) in read_all.answered:
        figures = sums(of_account, *_ACCOUNT_FIGURES)
        cells = [figures.get(name, MISSING if of_account.positions else "0") for name in _ACCOUNT_FIGURES]
        in_all = [number(quantity)] if by_quantity else []
        rows.append([str(account), str(count), str(of_account.positions), *in_all, *cells])
    cash: dict[str, str] = {}
    if wanted.instrument_type is SecurityType.CASH:
        for account in context.accounts:
            told = cash_of(await read_balances(context, account))
            cash |= {f"{account} {name}": value for name, value in told.items()}
    doubts = [f"account {account}: {doubt}" for account, (*_, said, _) in read_all.answered for doubt in said]
    data = Output(
        **heading_of_all(context, (reading.as_of for _, (*_, reading) in read_all.answered)).model_dump(),
        held=sum(count for _, (count, *_) in read_all.answered),
        matching=totals.positions,
        filter=filter_words(given) or None,
        order="account",
        totals=sums(totals, "net", "long", "short", *FIGURES),
        today=day_of(context, totals),
        cash=cash or None,
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        warnings=[*read_all.warnings, *doubts, *contradictions(totals)] or None,
        first=1,
        last=len(rows),
        columns=["account", "held", "matching", *(["quantity"] if by_quantity else []), *_ACCOUNT_FIGURES],
        rows=rows,
    )
    lines = [*said_before_rows(context, data), table(data.columns, data.rows), "Rows of one account: give account_id."]
    return Answer("\n".join(lines), data)
