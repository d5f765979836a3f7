"""Sending a person to the plan's page where the client opens links, in the way of either protocol era.

That a client accepts means that the link was opened, nothing more: what is decided is in the store.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestURLParams, InputRequiredResult

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.tools._call import LINK, Call


async def open_page(call: Call, operation: Operation, link: str) -> bool | InputRequiredResult:
    """Ask the client to open the page. Whether it did; in the 2026 era the request to, which brings a new round."""
    question = call.context.guard.question(operation).partition("\n")[0]
    message = f"{question} (plan {operation.operation_id}). Decide on the supervisor's page."
    if call.is_modern:
        asked = ElicitRequest(params=ElicitRequestURLParams(message=message, url=link))
        return InputRequiredResult(input_requests={LINK: asked}, request_state=operation.operation_id)
    await call.say(f"Waiting for a supervisor to decide plan {operation.operation_id}")
    try:
        answer = await call.sdk.elicit_url(message, link, operation.operation_id)
    except MCPError:
        return False
    return answer.action == "accept"


async def page_is_done(call: Call, operation: Operation) -> None:
    """Tell a client of the earlier era that the page needs to be open no longer."""
    if not call.is_modern:
        with suppress(MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            await call.sdk.session.send_elicit_complete(operation.operation_id)
