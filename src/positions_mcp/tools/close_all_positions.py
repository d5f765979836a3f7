"""`close_all_positions`: close everything an account holds, in one request, after a person's decision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from positions_mcp.tools._arguments import AccountArgument, PlanIdArgument, ToolArguments
from positions_mcp.tools._definition import Effect, ToolDefinition
from positions_mcp.tools._planning import Request, close_request, send
from positions_mcp.tools._reports import Output


class Arguments(ToolArguments):
    """An account, or a plan."""

    account_id: AccountArgument = None
    cancel_orders: Annotated[bool | None, Field(description="Cancel all open orders first; default false")] = None
    plan_id: PlanIdArgument = None

    def request(self) -> Request:
        return close_request(self.account_id, None, self.cancel_orders, everything=True)


TOOL = ToolDefinition(
    name="close_all_positions",
    title="Close ALL positions of an account",
    description=(
        "Closes everything the account holds, in one request. A person is asked first; the call waits for the answer. "
        "Follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=send,
    effect=Effect.DESTROYS,
)
