"""`cancel_instruction`: ask for one exercise instruction to be cancelled, after a person's decision."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.context import Context
from pydantic import Field

from positions_mcp.domain.ids import instruction_id
from positions_mcp.guard.exercising.request import CancelRequest
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
    id: str | None,  # noqa: A002 — the argument's public name
    plan_id: str | None,
) -> Planned:
    """The plan that the arguments mean."""
    wanted = None if id is None else instruction_id(id.strip())
    request = CancelRequest(account_id=named_account(account_id), instruction_id=wanted)
    return await planned_by(ctx, deps, caller, request, plan_id)


async def ask(
    ctx: Context[Deps, Any],
    deps: Annotated[Deps, Resolve(from_lifespan)],
    planned: Annotated[Planned, Resolve(plan)],
) -> Elicit[Approval] | Unasked:
    """The question of that plan, where a form in the client may decide it."""
    return await put_question(ctx, deps, planned)


async def cancel_instruction(
    *,
    deps: Annotated[Deps, Resolve(from_lifespan)],
    caller: Annotated[Caller, Resolve(from_request)],
    planned: Annotated[Planned, Resolve(plan)],
    outcome: Annotated[ElicitationResult[Approval], Resolve(ask)],
    account_id: Annotated[int | None, Field(description="Default: the only one")] = None,
    id: Annotated[  # noqa: A002 — the argument's public name
        str | None, Field(min_length=1, max_length=64, description="From list_instructions, not the key")
    ] = None,
    plan_id: Annotated[
        str | None, Field(min_length=1, max_length=64, description="Alone continues a plan; else must match")
    ] = None,
) -> Answer:
    """Ask for the cancel if a person says yes. Raises what the resolvers and `decided` raise."""
    return answer_of(await decided(deps, caller, planned, outcome))


SPEC = ToolSpec(
    name="cancel_instruction",
    title="Cancel an exercise instruction",
    description=(
        "Asks for one instruction to be cancelled. A person is asked first, with the consequence. Requested is not "
        "cancelled: follow with get_operation (wait_s)."
    ),
    handler=cancel_instruction,
    output=Output,
    effect=Effect.DESTROYS,
    tool_class=AskingTool,
)
