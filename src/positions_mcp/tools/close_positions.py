"""`close_positions`: close named positions, one request for each, after a person's decision."""

from __future__ import annotations

from mcp_types import InputRequiredResult

from positions_mcp.tools._approval import send_if_approved
from positions_mcp.tools._arguments import (
    AccountArgument,
    CancelOrdersArgument,
    InstrumentsArgument,
    PlanIdArgument,
    ToolArguments,
)
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._planning import plan_of
from positions_mcp.tools._reports import Output
from positions_mcp.tools._requests import close_request


class Arguments(ToolArguments):
    """Instruments or a plan."""

    account_id: AccountArgument = None
    instruments: InstrumentsArgument = None
    cancel_orders: CancelOrdersArgument = None
    plan_id: PlanIdArgument = None


async def close_positions(call: Call, given: Arguments) -> Answer | InputRequiredResult:
    """Close them if a person says yes."""
    request = close_request(given.account_id, given.instruments, given.cancel_orders)
    return await send_if_approved(call, await plan_of(call, request, given.plan_id))


TOOL = ToolDefinition(
    name="close_positions",
    title="Close positions",
    description=(
        "Closes whole positions at market. A person is asked first; the call waits for the answer. Submitted is not "
        "closed: follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=close_positions,
    effect=Effect.DESTROYS,
)
