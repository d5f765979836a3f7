"""From a tool's arguments to the plan they mean: the one named, the one under way, or a new one. And to sending it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Protocol

from mcp_types import InputRequiredResult

from positions_mcp.domain.errors import Refused
from positions_mcp.guard.asking import CanShow
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.planner import Choosing, Planned
from positions_mcp.tools._approval import is_approved_at_the_desk, send_if_approved
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer

Request = CloseRequest | SubmitRequest | CancelRequest


class Sendable(Protocol):
    """The arguments of a tool that sends: what is asked for, or a plan that was made of it."""

    @property
    def plan_id(self) -> str | None: ...

    def request(self) -> Request: ...


async def send(call: Call, given: Sendable) -> Answer | InputRequiredResult:
    """Send what is asked for if a person says yes. Raises as `send_if_approved`, and the guard's `plan`, do."""
    return await send_if_approved(call, await _plan_of(call, given.request(), given.plan_id))


async def _plan_of(call: Call, request: Request, plan_id: str | None) -> Planned:
    if plan_id is None:
        return await new_plan(call, request, create=not call.is_retry, asking=call.can_show)
    planned = await call.context.guard.continue_plan(
        plan_id, request, caller=call.caller.identity, judged=not call.is_retry, rights=call.caller.rights
    )
    call.context.account(planned.operation.plan.account_id)  # a caller may have lost it since
    if not call.is_retry:
        await _refuse_used(call, planned)
    return planned


async def new_plan(
    call: Call,
    request: Request,
    *,
    create: bool = True,
    choose: Choosing | None = None,
    chosen_by: Hashable = None,
    asking: CanShow | None = None,
) -> Planned:
    """The plan that these arguments mean, whether it is new or under way. Identical calls at once share it.

    `choose` completes the request from the book; it does the same for whom `chosen_by` is the same.
    """
    context, caller, rights = call.context, call.caller.identity, call.caller.rights
    whole = replace(request, account_id=context.account(request.account_id))

    async def plan() -> Planned:
        asked = partial(context.guard.plan, whole, caller=caller, rights=rights)
        return await asked(create=create, choose=choose, asking=asking)

    return await context.planning.run((caller, rights, whole, create, chosen_by, asking), plan)


async def _refuse_used(call: Call, planned: Planned) -> None:
    """Raise Refused where the plan that was named is over: it is used once."""
    operation = planned.operation
    if operation.stage.is_open or is_approved_at_the_desk(operation):
        return
    report = await call.context.guard.operation(operation.operation_id)
    why = f" {report.reason}" if report.reason else ""
    raise Refused(
        f"Plan {operation.operation_id} cannot be used again: it is {report.state}.{why}", hint=report.next_step
    )
