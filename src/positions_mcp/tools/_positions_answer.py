"""What `list_positions` answers as data, and the text of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.many import a_few_of
from positions_mcp.domain.money import ZERO, exact_sum
from positions_mcp.domain.portfolio.resolve import looked_up
from positions_mcp.domain.portfolio.select import Choice, Filter
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


@dataclass(frozen=True, slots=True)
class _OfAccount:
    """What is asked for of one account's positions."""

    held: int
    totals: Totals
    quantity: Decimal
    doubts: Sequence[str]
    as_of: datetime


async def positions_of_all(call: Call, given: dict[str, Any]) -> Answer:
    """One line for each account, and the sum."""
    context = call.context
    wanted = filter_of(given, new_york_day(context.clock.now()), context.calendar)

    async def read(account: AccountId) -> _OfAccount:
        held, reading = await context.positions.gather_positions(account, Whole[Holding])
        with looked_up(reading.doubts):
            totals, quantity, lacking = await beside_others(len(held), lambda: _reckoned(held, wanted))
        return _OfAccount(len(held), totals, quantity, [*reading.doubts, *lacking], reading.as_of)

    read_all = await over_accounts(context, read)
    totals = Totals.merged(each.totals for _, each in read_all.answered)
    doubts = [f"account {account}: {doubt}" for account, each in read_all.answered for doubt in each.doubts]
    by_quantity = len(wanted.instruments) == 1
    rows = [_row(account, each, by_quantity=by_quantity) for account, each in read_all.answered]
    data = Output(
        **heading_of_all(context, (each.as_of for _, each in read_all.answered)).model_dump(),
        held=sum(each.held for _, each in read_all.answered),
        matching=totals.positions,
        filter=filter_words(given) or None,
        order="account",
        totals=sums(totals, "net", "long", "short", *FIGURES),
        today=day_of(context, totals),
        cash=await _cash(context) or None if wanted.instrument_type is SecurityType.CASH else None,
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


def _reckoned(held: Whole[Holding], wanted: Filter) -> tuple[Totals, Decimal, list[str]]:
    """The sums and the quantity of what is wanted, and what the filter leaves out."""
    choice, totals, quantity = Choice(held, wanted), Totals(), ZERO
    for some in a_few_of(held):
        chosen = choice.among(some)
        totals = Totals.merged((totals, Totals.of(chosen)))
        quantity = exact_sum((quantity, *(each.quantity for each in chosen)))
    return totals, quantity, left_out(held, wanted)


def _row(account: AccountId, each: _OfAccount, *, by_quantity: bool) -> list[str]:
    figures = sums(each.totals, *_ACCOUNT_FIGURES)
    cells = [figures.get(name, MISSING if each.totals.positions else "0") for name in _ACCOUNT_FIGURES]
    in_all = [number(each.quantity)] if by_quantity else []
    return [str(account), str(each.held), str(each.totals.positions), *in_all, *cells]


async def _cash(context: ToolContext) -> dict[str, str]:
    """What the balances say of each account's."""
    told = {account: cash_of(await read_balances(context, account)) for account in context.accounts}
    return {f"{account} {name}": value for account, each in told.items() for name, value in each.items()}
