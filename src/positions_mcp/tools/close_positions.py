"""`close_positions`: close named positions, one request for each, after a person's decision."""

from __future__ import annotations

from positions_mcp.tools._arguments import (
    AccountArgument,
    CancelOrdersArgument,
    InstrumentsArgument,
    PlanIdArgument,
    ToolArguments,
)
from positions_mcp.tools._definition import Effect, ToolDefinition
from positions_mcp.tools._planning import Request, close_request, send
from positions_mcp.tools._reports import Output


class Arguments(ToolArguments):
    """Instruments or a plan."""

    account_id: AccountArgument = None
    instruments: InstrumentsArgument = None
    cancel_orders: CancelOrdersArgument = None
    plan_id: PlanIdArgument = None

    def request(self) -> Request:
        return close_request(self.account_id, self.instruments, self.cancel_orders)


TOOL = ToolDefinition(
    name="close_positions",
    title="Close positions",
    description=(
        "Closes whole positions at market. A person is asked first; the call waits for the answer. Submitted is not "
        "closed: follow with get_operation."
    ),
    arguments=Arguments,
    output=Output,
    handler=send,
    effect=Effect.DESTROYS,
)
