"""`get_operation`: follow one operation from submitted to closed, and reconcile what is unknown."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from positions_mcp.guard.asking import Wait
from positions_mcp.tools._arguments import ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._reports import Output, answer_of


class Arguments(ToolArguments):
    """Which operation, and how long it is followed."""

    operation_id: Annotated[str, Field(min_length=1, max_length=64, description="Also a plan_id")]
    wait_s: Annotated[int | None, Field(ge=0, le=45, description="Seconds to follow it, default 0")] = None


async def get_operation(call: Call, given: Arguments) -> Answer:
    """Read the account again and say where the operation stands. Raises as `Guard.operation` does."""
    wait = Wait(given.wait_s or 0, call.wait_progress)
    operation_id = given.operation_id.strip()
    report = await call.context.guard.operation(operation_id, viewer=call.caller.viewer, wait=wait)
    return answer_of(call.context, report)


TOOL = ToolDefinition(
    name="get_operation",
    title="Follow an operation",
    description=(
        "State, decision, orders and what is left of each target, read again now; an unknown outcome is reconciled, "
        "with the evidence. Sends nothing."
    ),
    arguments=Arguments,
    output=Output,
    handler=get_operation,
    effect=Effect.READS,
)
