"""What an answer says of cash: from the balances beside positions, or why it is not known."""

from __future__ import annotations

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import plain
from positions_mcp.domain.text import clean
from positions_mcp.tools.context import ToolContext

_FIGURES = ("settled_cash", "trade_cash", "withdrawable_cash", "buying_power")


async def read_balances(context: ToolContext, account: AccountId) -> Balances | NotKnown:
    """The account's balances, where they may be read."""
    reader = context.neighbours.balances
    return await known("balances", reader.read_balances(account) if reader else None)


def cash_of(balances: Balances | NotKnown) -> dict[str, str]:
    """The figures of cash that are known, or why none is."""
    if isinstance(balances, NotKnown):
        return {"not_known": clean(balances.reason, 200)}
    figures = {name: value for name in _FIGURES if (value := getattr(balances, name)) is not None}
    if not figures:
        return {"not_known": "the balances say nothing of it."}
    currency = {"currency": clean(balances.currency, 8)} if balances.currency else {}
    return {**{name: plain(value) for name, value in figures.items()}, **currency}


def cash_line(cash: dict[str, str]) -> str:
    if "not_known" in cash:
        return (
            "Cash: not known here. Positions list only what the API books as a CASH position, and balances, where cash "
            f"stands, could not be read: {cash['not_known']}"
        )
    return f"Cash, from balances: {', '.join(f'{name} {value}' for name, value in cash.items())}."
