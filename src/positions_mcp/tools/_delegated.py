"""What a mandate covers is sent without a question, and the agent can read what it has."""

from __future__ import annotations

from collections.abc import Sequence

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.mandate import Standing, left_of, said_of
from positions_mcp.guard.approval.questions import Step
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.reports import OperationReport
from positions_mcp.tools._call import Call
from positions_mcp.tools.context import ToolContext


async def sent_under(call: Call, planned: Planned, step: Step) -> OperationReport | None:
    """What became of a plan that a mandate covers; None where it does not any more, so that a person is asked.

    Raises StoreUnavailable: the mandate or a use of it was altered, and nothing was sent.
    """
    await call.say(f"{step.reason} Sending {planned.operation.operation_id}")
    try:
        return await call.context.guard.send_under(planned.operation, step.mandate, caller=call.caller.identity)
    except Refused:
        return None


def mandates_said(context: ToolContext, standings: Sequence[Standing], caller: str) -> list[str]:
    """Each mandate that a caller may use now: what it allows, what is left, and until when."""
    return [
        f"{each.mandate.mandate_id}: {said_of(each.mandate.terms)}; {left_of(each)}; "
        f"until {context.said(context.on_market_clock(each.mandate.window.ends))}"
        for each in standings
        if each.mandate.window is not None and each.mandate.terms.is_for(caller)
    ]
