"""From a tool's arguments to the plan they mean: the one named, the one under way, or a new one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mcp.server.mcpserver.context import Context

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.planner import Planned
from positions_mcp.tools._approval import is_approved_at_the_desk, is_retry
from positions_mcp.tools._callers import Caller
from positions_mcp.tools._deps import Deps

Asked = CloseRequest | SubmitRequest | CancelRequest


async def planned_by(
    ctx: Context[Deps, Any], deps: Deps, caller: Caller, request: Asked, plan_id: str | None
) -> Planned:
    """The plan of what a tool's arguments ask for. Raises as the guard's `plan` and `continue_plan` do."""
    retry = is_retry(ctx)
    if plan_id is None:
        return await new_plan(deps, caller, request, create=not retry)
    found = await deps.guard.continue_plan(plan_id, request, caller=caller.name, judged=not retry)
    if not retry:
        await _refuse_used(deps, found)
    return found


async def new_plan(deps: Deps, caller: Caller, request: Asked, *, create: bool = True) -> Planned:
    """The plan that these arguments mean, whether it is new or under way. Identical calls at once share it."""
    whole = replace(request, account_id=deps.account(request.account_id))

    async def plan() -> Planned:
        return await deps.guard.plan(whole, caller=caller.name, create=create)

    return await deps.planning.once((caller, whole, create), plan)


async def _refuse_used(deps: Deps, planned: Planned) -> None:
    """Raise Refused where the plan that was named is over: it is used once."""
    operation = planned.operation
    if operation.stage.is_open or is_approved_at_the_desk(operation):
        return
    report = await deps.guard.operation(operation.operation_id)
    why = f" {report.reason}" if report.reason else ""
    raise Refused(
        f"Plan {operation.operation_id} cannot be used again: it is {report.state}.{why}",
        hint=f"{report.next_step} Nothing was sent by this call.",
    )


def named_account(account_id: int | None) -> AccountId | None:
    """The account as the guard takes it; None where it was not given."""
    return None if account_id is None else AccountId(account_id)
