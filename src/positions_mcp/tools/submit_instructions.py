"""`submit_instructions`: submit a batch of exercise instructions, in one request, after a person's decision."""

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
from positions_mcp.tools._requests import Row, submit_request


class Arguments(ToolArguments):
    """A batch or a plan."""

    account_id: AccountArgument = None
    instructions: Annotated[
        list[Row] | None, Field(min_length=1, max_length=1000, description="As in preview_instructions")
    ] = None
    plan_id: PlanIdArgument = None


async def submit_instructions(call: Call, given: Arguments) -> Answer | InputRequiredResult:
    """Submit them if a person says yes."""
    request = submit_request(given.account_id, given.instructions)
    return await send_if_approved(call, await plan_of(call, request, given.plan_id))


TOOL = ToolDefinition(
    name="submit_instructions",
    title="Submit exercise instructions",
    description=(
        "Submits one batch. A person is asked first. The answer accounts for every row and says which may be "
        "resubmitted with which key; sent is not accepted: follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=submit_instructions,
    effect=Effect.DESTROYS,
)
