"""From a tool's arguments to the plan they mean: the one named, the one under way, or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver.context import Context

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.guard.planner import Planned
from positions_mcp.tools._approval import is_approved_at_the_desk, is_retry
from positions_mcp.tools._callers import Caller
from positions_mcp.tools._deps import Deps


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """The arguments of a close. None means not given."""

    kind: Kind
    account_id: int | None = None
    instruments: Sequence[str] | None = None
    cancel_orders: bool | None = None
    plan_id: str | None = None


async def planned_close(ctx: Context[Deps, Any], deps: Deps, caller: Caller, asked: CloseRequest) -> Planned:
    """The plan to close what is asked for. Raises as the guard's `plan_close` and `continue_plan` do."""
    guard, retry = deps.guard, is_retry(ctx)
    if asked.plan_id is None:
        return await new_close(deps, caller, asked, create=not retry)
    planned = await guard.continue_plan(
        asked.plan_id,
        caller=caller.name,
        kind=asked.kind,
        account_id=AccountId(asked.account_id) if asked.account_id is not None else None,
        instruments=asked.instruments,
        cancel_orders=asked.cancel_orders,
        judged=not retry,
    )
    if not retry:
        await refuse_used(deps, planned)
    return planned


async def new_close(deps: Deps, caller: Caller, asked: CloseRequest, *, create: bool = True) -> Planned:
    """The plan that these arguments mean, whether it is new or under way. Identical calls at once share it."""
    everything = asked.kind is Kind.CLOSE_ALL_POSITIONS
    if not everything and asked.instruments is None:
        raise InvalidInput("Neither instruments nor plan_id was given.", hint="Give one of them.")
    account, cancel_orders = deps.account(asked.account_id), asked.cancel_orders or False
    names = None if everything else tuple(asked.instruments or ())

    async def plan() -> Planned:
        return await deps.guard.plan_close(
            account_id=account, instruments=names, cancel_orders=cancel_orders, caller=caller.name, create=create
        )

    return await deps.planning.once((caller, account, names, cancel_orders, create), plan)


async def refuse_used(deps: Deps, planned: Planned) -> None:
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
