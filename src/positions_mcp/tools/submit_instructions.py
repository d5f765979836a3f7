"""`submit_instructions`: submit a batch of exercise instructions, in one request, after a person's decision."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.context import Context
from pydantic import Field

from positions_mcp.guard.planner import Planned
from positions_mcp.tools._approval import Approval, AskingTool, Unasked, decided, put_question
from positions_mcp.tools._callers import Caller, from_request
from positions_mcp.tools._deps import Deps, from_lifespan
from positions_mcp.tools._instruction_plans import Row, submit_request
from positions_mcp.tools._plans import planned_by
from positions_mcp.tools._reports import Output, answer_of
from positions_mcp.tools._spec import Answer, Effect, ToolSpec


async def plan(
    *,
    ctx: Context[Deps, Any],
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    account_id: int | None,
    instructions: list[Row] | None,
    plan_id: str | None,
) -> Planned:
    """The plan that the arguments mean."""
    return await planned_by(ctx, deps, caller, submit_request(account_id, instructions), plan_id)


async def ask(
    ctx: Context[Deps, Any],
    deps: Annotated[Deps, Resolve(from_lifespan)],
    planned: Annotated[Planned, Resolve(plan)],
) -> Elicit[Approval] | Unasked:
    """The question of that plan, where a form in the client may decide it."""
    return await put_question(ctx, deps, planned)


async def submit_instructions(
    *,
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    planned: Annotated[Planned, Resolve(plan)],
    outcome: Annotated[ElicitationResult[Approval], Resolve(ask)],
    account_id: Annotated[int | None, Field(description="Default: the only one")] = None,
    instructions: Annotated[
        list[Row] | None, Field(min_length=1, max_length=1000, description="As in preview_instructions")
    ] = None,
    plan_id: Annotated[
        str | None, Field(min_length=1, max_length=64, description="Alone continues a plan; else must match")
    ] = None,
) -> Answer:
    """Submit them if a person says yes. Raises what the resolvers and `decided` raise."""
    return answer_of(await decided(deps, caller, planned, outcome))


SPEC = ToolSpec(
    name="submit_instructions",
    title="Submit exercise instructions",
    description=(
        "Submits one batch. A person is asked first. The answer accounts for every row and says which may be "
        "resubmitted with which key; sent is not accepted: follow with get_operation."
    ),
    handler=submit_instructions,
    output=Output,
    effect=Effect.DESTROYS,
    tool_class=AskingTool,
)
