"""`cancel_instruction`: ask for one exercise instruction to be cancelled, after a person's decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from positions_mcp.tools._arguments import AccountArgument, PlanIdArgument, ToolArguments
from positions_mcp.tools._definition import Effect, ToolDefinition
from positions_mcp.tools._planning import Request, cancel_request, send
from positions_mcp.tools._reports import Output


class Arguments(ToolArguments):
    """An instruction or a plan."""

    account_id: AccountArgument = None
    id: Annotated[str | None, Field(min_length=1, max_length=64, description="From list_instructions, not the key")] = (
        None
    )
    plan_id: PlanIdArgument = None

    def request(self) -> Request:
        return cancel_request(self.account_id, self.id)


TOOL = ToolDefinition(
    name="cancel_instruction",
    title="Cancel an exercise instruction",
    description=(
        "Asks for one instruction to be cancelled. A person is asked first, with the consequence. Requested is not "
        "cancelled: follow with get_operation (wait_s)."
    ),
    arguments=Arguments,
    output=Output,
    handler=send,
    effect=Effect.DESTROYS,
)
