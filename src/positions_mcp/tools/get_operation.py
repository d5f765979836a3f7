"""`get_operation`: follow one operation from submitted to closed, and reconcile what is unknown."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Resolve
from mcp.server.mcpserver.context import Context
from pydantic import Field

from positions_mcp.guard.guard import OnWait, Wait
from positions_mcp.tools._callers import Caller, from_request
from positions_mcp.tools._deps import Deps, from_lifespan
from positions_mcp.tools._reports import Output, answer_of
from positions_mcp.tools._spec import Answer, Effect, ToolSpec


async def wait_progress(ctx: Context[Deps, Any]) -> OnWait:
    """The resolver by which the handler tells a waiting client how long it has waited."""

    async def tell(waited: float, at_most: float) -> None:
        await ctx.report_progress(waited, at_most, "Following the operation")

    return tell


async def get_operation(
    *,
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    progress: Annotated[OnWait, Resolve(wait_progress)],
    operation_id: Annotated[str, Field(min_length=1, max_length=64, description="Also a plan_id")],
    wait_s: Annotated[int | None, Field(ge=0, le=45, description="Seconds to follow it, default 0")] = None,
) -> Answer:
    """Read the account again and say where the operation stands. Raises as `Guard.operation` does."""
    wait = Wait(wait_s or 0, progress)
    return answer_of(await deps.guard.operation(operation_id.strip(), caller=caller.sees, wait=wait))


SPEC = ToolSpec(
    name="get_operation",
    title="Follow an operation",
    description=(
        "State, decision, orders and what is left of each target, read again now; an unknown outcome is reconciled, "
        "with the evidence. Sends nothing."
    ),
    handler=get_operation,
    output=Output,
    effect=Effect.READS,
)
