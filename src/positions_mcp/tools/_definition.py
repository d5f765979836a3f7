"""How a tool is defined: what is published of it, and the handler that answers a call.

    class Arguments(ToolArguments): …      # what a client gives
    class Output(Data): …                  # what the structured content holds

    async def handle(call: Call, given: Arguments) -> Answer: …

    TOOL = ToolDefinition(name=…, title=…, description=…, arguments=Arguments, output=Output, handler=handle, effect=…)

The handler returns an `Answer`: text and structured content that are each enough alone. It raises the errors of
`positions_mcp.domain.errors`, which become words for the model; any other exception is a defect and is said to be one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from mcp_types import InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from positions_mcp.tools._arguments import ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._uris import VIEW


class Effect(Enum):
    """What calling a tool may do to an account."""

    READS = "reads"
    """Changes nothing at the broker."""
    DESTROYS = "destroys"
    """May send what cannot be taken back, after a person's decision. A repeated call sends nothing more."""
    STOPS = "stops"
    """Keeps things from being sent. It takes nobody's decision, and no tool ends it."""


class Data(BaseModel):
    """The base of structured content. Pydantic builds what serialises it when it is first used, not at the start."""

    model_config = ConfigDict(defer_build=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers: the same in words and as data, because hosts differ in which of them the model sees."""

    text: str
    data: BaseModel


ArgumentsT = TypeVar("ArgumentsT", bound=ToolArguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition(Generic[ArgumentsT]):
    """One tool."""

    name: str
    title: str
    description: str
    arguments: type[ArgumentsT]
    output: type[BaseModel]
    handler: Callable[[Call, ArgumentsT], Awaitable[Answer | InputRequiredResult]]
    effect: Effect
    leaves_the_machine: bool = True
    """Whether it asks the broker; False for a tool that answers from this program's own state."""
    failed: str = ""
    """What every failure of it ends with."""
    is_drawn: bool = False
    """Whether a host that shows pages may draw its answer with the page of views."""

    @property
    def reads(self) -> bool:
        """Whether a call cannot have sent anything."""
        return self.effect is Effect.READS

    @property
    def meta(self) -> dict[str, Any] | None:
        """For the host, not for the model: the page that draws its answers, under the key of either draft of Apps."""
        return {"ui": {"resourceUri": VIEW}, "ui/resourceUri": VIEW} if self.is_drawn else None

    @property
    def annotations(self) -> ToolAnnotations:
        """All four hints, so that no host has to assume one."""
        return ToolAnnotations(
            read_only_hint=self.reads,
            destructive_hint=self.effect is Effect.DESTROYS,
            idempotent_hint=True,
            open_world_hint=self.leaves_the_machine,
        )
