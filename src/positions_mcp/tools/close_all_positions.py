"""`close_all_positions`: close everything an account holds, in one request, after a person's decision."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.context import Context
from pydantic import Field

from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.planner import Planned
from positions_mcp.tools._approval import Approval, AskingTool, Unasked, decided, put_question
from positions_mcp.tools._callers import Caller, from_request
from positions_mcp.tools._deps import Deps, from_lifespan
from positions_mcp.tools._plans import named_account, planned_by
from positions_mcp.tools._reports import Output, answer_of
from positions_mcp.tools._spec import Answer, Effect, ToolSpec


async def plan(
    *,
    ctx: Context[Deps, Any],
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    account_id: int | None,
    cancel_orders: bool | None,
    plan_id: str | None,
) -> Planned:
    """The plan that the arguments mean."""
    request = CloseRequest(account_id=named_account(account_id), everything=True, cancel_orders=cancel_orders)
    return await planned_by(ctx, deps, caller, request, plan_id)


async def ask(
    ctx: Context[Deps, Any],
    deps: Annotated[Deps, Resolve(from_lifespan)],
    planned: Annotated[Planned, Resolve(plan)],
) -> Elicit[Approval] | Unasked:
    """The question of that plan, where a form in the client may decide it."""
    return await put_question(ctx, deps, planned)


async def close_all_positions(
    *,
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    planned: Annotated[Planned, Resolve(plan)],
    outcome: Annotated[ElicitationResult[Approval], Resolve(ask)],
    account_id: Annotated[int | None, Field(description="Default: the only one")] = None,
    cancel_orders: Annotated[bool | None, Field(description="Cancel all open orders first; default false")] = None,
    plan_id: Annotated[
        str | None, Field(min_length=1, max_length=64, description="Alone continues a plan; else must match")
    ] = None,
) -> Answer:
    """Close everything if a person says yes. Raises what the resolvers and `decided` raise."""
    return answer_of(await decided(deps, caller, planned, outcome))


SPEC = ToolSpec(
    name="close_all_positions",
    title="Close ALL positions of an account",
    description=(
        "Closes everything the account holds, in one request. A person is asked first; the call waits for the answer. "
        "Follow with get_operation."
    ),
    handler=close_all_positions,
    output=Output,
    effect=Effect.DESTROYS,
    tool_class=AskingTool,
)
