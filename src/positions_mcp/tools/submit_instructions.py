"""`submit_instructions`: submit a batch of exercise instructions, in one request, after a person's decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from positions_mcp.tools._arguments import AccountArgument, PlanIdArgument, ToolArguments
from positions_mcp.tools._definition import Effect, ToolDefinition
from positions_mcp.tools._planning import Request, Row, send, submit_request
from positions_mcp.tools._reports import Output


class Arguments(ToolArguments):
    """A batch or a plan."""

    account_id: AccountArgument = None
    instructions: Annotated[
        list[Row] | None, Field(min_length=1, max_length=1000, description="As in preview_instructions")
    ] = None
    plan_id: PlanIdArgument = None

    def request(self) -> Request:
        return submit_request(self.account_id, self.instructions)


TOOL = ToolDefinition(
    name="submit_instructions",
    title="Submit exercise instructions",
    description=(
        "Submits one batch. A person is asked first. The answer accounts for every row and says which may be "
        "resubmitted with which key; sent is not accepted: follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=send,
    effect=Effect.DESTROYS,
)
