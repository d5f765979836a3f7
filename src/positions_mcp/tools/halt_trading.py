"""`halt_trading`: an agent stops what it asked for itself. Only a person resumes, and there is no tool for that."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from positions_mcp.domain.text import quoted
from positions_mcp.tools._arguments import ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition


class Output(Data):
    """What `halt_trading` answers as data."""

    halted: str
    """What is halted, in words."""
    reason: str
    by: str
    resumes: str
    trading: str | None = None
    """Said where this server sends nothing anyway."""


class Arguments(ToolArguments):
    """Why."""

    reason: Annotated[str, Field(max_length=2000, description="For the person who finds it halted")] = ""


async def halt_trading(call: Call, given: Arguments) -> Answer:
    """Halt everything destructive that this caller asks for, in every server on the store."""
    guard = call.context.guard
    halt = await guard.halt(given.reason, caller=call.caller.identity)
    data = Output(
        halted=quoted(halt.scope),
        reason=quoted(halt.reason),
        by=halt.by,
        resumes=f"only a person, with `{guard.command('resume')}`",
        trading=None if guard.policy.trading_enabled else "this server only reads anyway",
    )
    text = (
        f"HALTED, PAPER and LIVE: {data.halted}, by {data.by}, reason {data.reason}. Nothing more of it is sent, "
        f"approved or not; a request already in flight finishes and is recorded. Resumes: {data.resumes}."
    )
    return Answer(f"{text} Note: {data.trading}." if data.trading else text, data)


TOOL = ToolDefinition(
    name="halt_trading",
    title="Halt trading",
    description="Stops every close and instruction this caller asks for, approved or not. Only a person resumes.",
    arguments=Arguments,
    output=Output,
    handler=halt_trading,
    effect=Effect.STOPS,
    leaves_the_machine=False,
    failed="It is NOT halted: a person runs `positions-mcp halt`, or stops the server.",
)
