"""`close_all_positions`: close everything an account holds, in one request, after a person's decision."""

from __future__ import annotations

from typing import Annotated

from mcp_types import InputRequiredResult
from pydantic import Field

from positions_mcp.tools._approval import send_if_approved
from positions_mcp.tools._arguments import AccountArgument, PlanIdArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._planning import plan_of
from positions_mcp.tools._reports import Output
from positions_mcp.tools._requests import close_request


class Arguments(ToolArguments):
    """An account, or a plan."""

    account_id: AccountArgument = None
    cancel_orders: Annotated[bool | None, Field(description="Cancel all open orders first; default false")] = None
    plan_id: PlanIdArgument = None


async def close_all_positions(call: Call, given: Arguments) -> Answer | InputRequiredResult:
    """Close everything if a person says yes."""
    request = close_request(given.account_id, None, given.cancel_orders, everything=True)
    return await send_if_approved(call, await plan_of(call, request, given.plan_id))


TOOL = ToolDefinition(
    name="close_all_positions",
    title="Close ALL positions of an account",
    description=(
        "Closes everything the account holds, in one request. A person is asked first; the call waits for the answer. "
        "Follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=close_all_positions,
    effect=Effect.DESTROYS,
)
