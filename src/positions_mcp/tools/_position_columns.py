"""The columns of `list_positions`: which ones a listing has, and what stands under each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio

from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.portfolio.groups import Underlyings, share
from positions_mcp.domain.portfolio.locks import locks_on
from positions_mcp.domain.portfolio.select import SortKey
from positions_mcp.domain.portfolio.totals import Tallies, Totals
from positions_mcp.domain.text import label
from positions_mcp.guard.expiration import ReadInTask
from positions_mcp.tools._format import MISSING, number
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

_CONCISE = ("symbol", "quantity", "price", "market_value", "day_pnl", "unrealized_pnl", "unrealized_pnl_pct")
_FULL = (
    "symbol",
    "type",
    "quantity",
    "available",
    "locked",
    "price",
    "market_value",
    "avg_price",
    "cost_basis",
    "break_even",
    "close",
    "close_date",
    "day_pnl",
    "day_unrealized_pnl",
    "day_unrealized_pnl_pct",
    "day_realized_pnl",
    "unrealized_pnl",
    "unrealized_pnl_pct",
)
UNDERLYING_SHARE = "underlying_pct"
"""Of full rows: what the underlying with its options has of the account's gross value."""
_SORTED_COLUMNS = {
    SortKey.INSTRUMENT_TYPE: "type",
    SortKey.POSITION_TYPE: "position_type",
    SortKey.DAILY_REALIZED_PNL: "day_realized_pnl",
}
"""Sort keys whose column is not among the concise ones."""


def columns_of(totals: Totals, key: SortKey | None, *, full: bool, ids: bool) -> list[str]:
    """The columns of a listing: of a concise one also what is locked or realized, and what it is sorted by."""
    columns = [*(_FULL if full else _CONCISE)]
    if not full and totals.day_realized.amount:
        columns.append("day_realized_pnl")
    if not full and totals.locked:
        columns.append("locked")
    if key is SortKey.DAILY_UNREALIZED_PNL and totals.day_realized.amount and not full:
        columns.append("day_unrealized_pnl")
    if key and (sorted_by := _SORTED_COLUMNS.get(key)) and sorted_by not in columns:
        columns.append(sorted_by)
    return [*columns, *(["instrument_id"] if ids else [])]


def cell_of(column: str) -> Callable[[Any], str]:
    """What stands under a column; concise ones are known of positions in brief."""
    return _COLUMNS[column]


def underlying_shares(positions: Sequence[Holding]) -> Mapping[InstrumentId, str]:
    """Percent of gross that each position's underlying has, with its options."""
    underlyings = Underlyings()
    parts = underlyings.add(positions)
    by_name: dict[str, list[Holding]] = {}
    for key, part in parts.items():
        by_name.setdefault(underlyings.named(key), []).extend(part)
    tallies: Tallies[str] = Tallies()
    tallies.add(by_name)
    whole = Totals.merged(tallies.tallies().values())
    shares = {name: number(share(Totals.merged([part]), whole)) for name, part in tallies.tallies().items()}
    return {position.instrument_id: shares[name] for name, part in by_name.items() for position in part}


def _break_even(position: Position) -> str:
    """The underlying's price at which an option is worth its cost; empty for what is none, or delivers what else."""
    contract = position.contract
    if contract is None or not contract.is_standard:
        return ""
    if position.avg_price is None:
        return MISSING
    premium = position.avg_price.copy_abs()
    return number(
        exact_sum((contract.strike, premium if contract.right is OptionRight.CALL else premium.copy_negate()))
    )


_COLUMNS: dict[str, Callable[[Any], str]] = {
    "type": lambda position: label(position.instrument_type or MISSING),
    "position_type": lambda position: label(position.position_type or MISSING),
    "quantity": lambda position: number(position.quantity),
    "available": lambda position: number(position.available_quantity),
    "locked": lambda position: number(position.locked_quantity),
    "price": lambda position: number(position.instrument_price),
    "market_value": lambda position: number(position.value),
    "avg_price": lambda position: number(position.avg_price),
    "cost_basis": lambda position: number(position.cost_basis),
    "break_even": _break_even,
    "close": lambda position: number(position.closing_price),
    "close_date": lambda position: position.closing_price_date.isoformat() if position.closing_price_date else MISSING,
    "day_pnl": lambda position: number(position.day_pnl),
    "day_unrealized_pnl": lambda position: number(position.daily_unrealized_pnl),
    "day_unrealized_pnl_pct": lambda position: number(position.daily_unrealized_pnl_pct),
    "day_realized_pnl": lambda position: number(position.daily_realized_pnl),
    "unrealized_pnl": lambda position: number(position.unrealized_pnl),
    "unrealized_pnl_pct": lambda position: number(position.unrealized_pnl_pct),
    "instrument_id": lambda position: label(position.instrument_id),
}


LOCKED_BY = "locked_by"
_MAY_FILL = tuple(status for status in OrderStatus if not status.is_terminal)


async def what_locks(
    context: ToolContext, account: AccountId, positions: Sequence[Holding]
) -> Mapping[InstrumentId, str]:
    """Orders and instructions by id that lock each position; empty where none is locked. What is refused is said."""
    locked = await beside_others(len(positions), lambda: [each for each in positions if each.locked_quantity])
    if not locked:
        return {}
    reader, listing = context.orders, context.instructions
    # The seed contract does not know every status by name.
    statuses = () if context.contract == "seed" else _MAY_FILL
    async with anyio.create_task_group() as tasks:
        read = ReadInTask(
            tasks, lambda: known("orders", reader.read_orders(account, statuses=statuses) if reader else None)
        )
        listed = ReadInTask(tasks, lambda: known("instructions", listing.get_position_instructions(account)))
    orders, instructions = read.value, listed.value
    now, not_read = context.clock.now(), [each.what for each in (orders, instructions) if isinstance(each, NotKnown)]
    still_open = None if isinstance(orders, NotKnown) else [order for order in orders if order.is_open]
    outstanding = None
    if not isinstance(instructions, NotKnown):
        outstanding = Outstanding(instructions.data, now=now, calendar=context.calendar)
    lacking = f" ({' and '.join(not_read)} could not be read)" if not_read else ""

    def said() -> Mapping[InstrumentId, str]:
        return {each.instrument_id: f"{locks_on(each, still_open, outstanding).said}{lacking}" for each in locked}

    return await beside_others(len(locked), said)
