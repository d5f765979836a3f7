"""What locks the positions of an answer, by name: read only where something is locked and it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from positions_mcp.domain.account.known import NotKnown, known
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.portfolio.locks import locks_on
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

LOCKED_BY = "locked_by"
_MAY_FILL = tuple(status for status in OrderStatus if not status.is_terminal)


async def what_locks(
    context: ToolContext, account: AccountId, positions: Sequence[Holding]
) -> Mapping[InstrumentId, str]:
    """Orders and instructions by id that lock each position; empty where none is locked. What is refused is said."""
    locked = await beside_others(len(positions), lambda: [each for each in positions if each.locked_quantity])
    if not locked:
        return {}
    orders: tuple[Order, ...] | NotKnown = NotKnown("orders", "")
    listed: Response[list[Instruction]] | NotKnown = NotKnown("instructions", "")

    async def read_orders() -> None:
        nonlocal orders
        # The seed contract does not know every status by name.
        statuses = () if context.contract == "seed" else _MAY_FILL
        reader = context.orders
        orders = await known("orders", reader.read_orders(account, statuses=statuses) if reader else None)

    async def read_instructions() -> None:
        nonlocal listed
        listed = await known("instructions", context.instructions.get_position_instructions(account))

    async with anyio.create_task_group() as side_by_side:
        side_by_side.start_soon(read_orders)
        side_by_side.start_soon(read_instructions)
    now, not_read = context.clock.now(), [each.what for each in (orders, listed) if isinstance(each, NotKnown)]
    still_open = None if isinstance(orders, NotKnown) else [order for order in orders if order.is_open]
    rows = None if isinstance(listed, NotKnown) else listed.data
    outstanding = None if rows is None else Outstanding(rows, now=now, calendar=context.calendar)
    lacking = f" ({' and '.join(not_read)} could not be read)" if not_read else ""

    def said() -> Mapping[InstrumentId, str]:
        return {each.instrument_id: f"{locks_on(each, still_open, outstanding).said}{lacking}" for each in locked}

    return await beside_others(len(locked), said)
