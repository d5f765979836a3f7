"""`list_positions` without an account where several are configured: a line for each, and the sum."""

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
from positions_mcp.tools._accounts import heading_of_all, over_accounts
from positions_mcp.tools._call import Call
from positions_mcp.tools._day import cash_of, day_of, read_balances
from positions_mcp.tools._definition import Answer
from positions_mcp.tools._format import FIGURES, MISSING, contradictions, missing, number, sums, table
from positions_mcp.tools._position_filter import filter_of, filter_words, without_expiry, without_percent
from positions_mcp.tools._positions_answer import Output, said_before_rows
from positions_mcp.tools._turns import beside_others

_ACCOUNT_FIGURES = ("net", "long", "short", "day_pnl", "unrealized_pnl", "unrealized_pnl_pct")


async def positions_of_all(call: Call, given: dict[str, Any]) -> Answer:
    """One line for each account, and the sum."""
    context = call.context
    wanted = filter_of(given, new_york_day(context.clock.now()), context.calendar)
    by_quantity = len(wanted.instruments) == 1

    async def read(account: AccountId) -> tuple[int, Totals, Decimal, list[str], Reading]:
        held, reading = await context.positions.gather_positions(account, Whole[Holding])

        def counted() -> tuple[Totals, Decimal, list[str]]:
            choice, totals, quantity = Choice(held, wanted), Totals(), ZERO
            for some in a_few_of(held):
                chosen = choice.among(some)
                totals = Totals.merged((totals, Totals.of(chosen)))
                quantity = exact_sum((quantity, *(each.quantity for each in chosen)))
            return totals, quantity, [*without_percent(held, wanted), *without_expiry(held, wanted)]

        with looked_up(reading.doubts):
            totals, quantity, lacking = await beside_others(len(held), counted)
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
