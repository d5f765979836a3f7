"""From a tool's arguments to the plan about instructions that they mean: the one named, under way, or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.context import Context
from pydantic import BaseModel, ConfigDict, Field

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, InstructionId, instruction_id
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.guard.planner import Planned
from positions_mcp.tools._approval import is_retry
from positions_mcp.tools._callers import Caller
from positions_mcp.tools._deps import Deps
from positions_mcp.tools._plans import refuse_used
from positions_mcp.tools._spec import STRICT


class Row(BaseModel):
    """One row of the argument `instructions`."""

    model_config = ConfigDict(**STRICT, defer_build=True)

    instrument: Annotated[str, Field(min_length=1, max_length=64, description="OSI option symbol or UUID")]
    instruction_type: Literal["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"]
    quantity: Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$", description="Whole contracts")]
    instruction_id: Annotated[
        str | None, Field(pattern="^[!-~]{1,128}$", description="Your idempotency key; default generated")
    ] = None

    def as_asked(self) -> InstructionRow:
        """The row as the guard takes it."""
        return InstructionRow(
            instrument=self.instrument,
            instruction_type=self.instruction_type,
            quantity=self.quantity,
            instruction_id=self.instruction_id,
        )


async def planned_instructions(
    ctx: Context[Deps, Any],
    deps: Deps,
    caller: Caller,
    *,
    account_id: int | None,
    instructions: Sequence[Row] | None,
    plan_id: str | None,
) -> Planned:
    """The plan to submit what is asked for. Raises as the guard's `plan_instructions` and `continue_plan` do."""
    retry = is_retry(ctx)
    if plan_id is None:
        return await new_instructions(deps, caller, account_id=account_id, instructions=instructions, create=not retry)
    planned = await deps.guard.continue_plan(
        plan_id,
        caller=caller.name,
        kind=Kind.SUBMIT_INSTRUCTIONS,
        account_id=_named(account_id),
        rows=None if instructions is None else [row.as_asked() for row in instructions],
        judged=not retry,
    )
    if not retry:
        await refuse_used(deps, planned)
    return planned


async def new_instructions(
    deps: Deps, caller: Caller, *, account_id: int | None, instructions: Sequence[Row] | None, create: bool = True
) -> Planned:
    """The plan that these rows mean, whether it is new or under way. Identical calls at once share it."""
    if instructions is None:
        raise InvalidInput("Neither instructions nor plan_id was given.", hint="Give one of them.")
    account, rows = deps.account(account_id), tuple(row.as_asked() for row in instructions)

    async def plan() -> Planned:
        return await deps.guard.plan_instructions(account_id=account, rows=rows, caller=caller.name, create=create)

    return await deps.planning.once((caller, account, rows, create), plan)


async def planned_cancel(
    ctx: Context[Deps, Any],
    deps: Deps,
    caller: Caller,
    *,
    account_id: int | None,
    wanted: str | None,
    plan_id: str | None,
) -> Planned:
    """The plan to cancel one instruction. Raises as the guard's `plan_cancel` and `continue_plan` do."""
    retry, checked = is_retry(ctx), None if wanted is None else instruction_id(wanted.strip())
    if plan_id is None:
        if checked is None:
            raise InvalidInput("Neither id nor plan_id was given.", hint="list_instructions shows the ids.")
        return await _new_cancel(deps, caller, account_id, checked, create=not retry)
    planned = await deps.guard.continue_plan(
        plan_id,
        caller=caller.name,
        kind=Kind.CANCEL_INSTRUCTION,
        account_id=_named(account_id),
        instruction_id=checked,
        judged=not retry,
    )
    if not retry:
        await refuse_used(deps, planned)
    return planned


async def _new_cancel(
    deps: Deps, caller: Caller, account_id: int | None, wanted: InstructionId, *, create: bool
) -> Planned:
    account = deps.account(account_id)

    async def plan() -> Planned:
        return await deps.guard.plan_cancel(
            account_id=account, instruction_id=wanted, caller=caller.name, create=create
        )

    return await deps.planning.once((caller, account, wanted, create), plan)


def _named(account_id: int | None) -> AccountId | None:
    return None if account_id is None else AccountId(account_id)
