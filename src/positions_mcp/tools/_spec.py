"""How a tool is defined, built and run.

A tool is a static `ToolSpec` and a module-level async handler:

    async def handle(deps: Annotated[Deps, Resolve(from_lifespan)], symbol: Annotated[str, Field(…)]) -> Answer: …

    SPEC = ToolSpec(name=…, title=…, description=…, handler=handle, output=Output, effect=Effect.READS)

What the model must not supply is a `Resolve` parameter and appears in no schema. The handler returns an `Answer`: text
and structured content that are each enough alone. It raises errors of `positions_mcp.domain.errors`, which `run` turns
into words; any other exception is a defect and is said to be one. Arguments are validated strictly and closed before
the handler runs: nested models carry `STRICT` as their configuration.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.resolve import build_resolver_plans, find_resolved_parameters
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.context_injection import find_context_parameter
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from positions_mcp.domain.errors import PositionsError
from positions_mcp.tools._errors import argument_text, crash_text, failure_text
from positions_mcp.tools._schema import input_schema, output_schema

STRICT = ConfigDict(extra="forbid", strict=True)
"""The configuration of every model that is part of a tool's arguments: unknown keys and wrong types are errors."""


class Effect(Enum):
    """What calling a tool may do to an account. There is no tool in between."""

    READS = "reads"
    """Changes nothing at the broker."""
    DESTROYS = "destroys"
    """May send what cannot be taken back, after a person's decision. A repeated call sends nothing more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers: the same in words and as data, because hosts differ in which of them the model sees."""

    text: str
    data: BaseModel


class Data(BaseModel):
    """The base of structured content. Pydantic builds what serialises it when it is first used, not at the start."""

    model_config = ConfigDict(defer_build=True)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """The static definition of a tool."""

    name: str
    title: str
    description: str
    handler: Callable[..., Awaitable[Answer]]
    output: type[BaseModel]
    effect: Effect
    leaves_the_machine: bool = True
    """Whether it asks the broker; False for a tool that answers from this program's own state."""
    tool_class: type[StrictTool] | None = None
    """What runs it, where that is more than a `StrictTool`."""

    @property
    def annotations(self) -> ToolAnnotations:
        """All four hints, so that no host has to assume one."""
        return ToolAnnotations(
            read_only_hint=self.effect is Effect.READS,
            destructive_hint=self.effect is Effect.DESTROYS,
            idempotent_hint=True,
            open_world_hint=self.leaves_the_machine,
        )

    def build(self) -> StrictTool:
        """The tool as the MCP server registers it.

        Raises:
            TypeError: its schemas are open or have unions.
        """
        resolved = find_resolved_parameters(self.handler)
        context = find_context_parameter(self.handler)
        arguments = _arguments(self.handler, without={*resolved, context})
        # `Tool.from_function` would build every argument model and its schema a second time, at every start.
        return (self.tool_class or StrictTool)(
            fn=self.handler,
            name=self.name,
            title=self.title,
            description=self.description,
            parameters=input_schema(arguments),
            fn_metadata=_StrictMetadata(
                arg_model=arguments, output_model=self.output, output_schema=output_schema(self.output)
            ),
            is_async=True,
            context_kwarg=context,
            resolved_params=dict(resolved),
            resolver_plans=build_resolver_plans(resolved, set(arguments.model_fields)),
            annotations=self.annotations,
            reads=self.effect is Effect.READS,
        )


class StrictTool(Tool):
    """A tool whose failures all reach the model in the program's words."""

    reads: bool = True

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Validate, run and convert. Raises ToolError with the words for the model; MCPError passes through."""
        try:
            result = await super().run(arguments, context, convert_result=False)
            if convert_result and isinstance(result, Answer):
                return self._converted(result)
        except UnexpectedToolError as error:
            raise self._translated(error) from error.__cause__
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(argument_text(error.__cause__, list(self.parameters["properties"]))) from error
            raise
        return result

    def _converted(self, answer: Answer) -> CallToolResult | InputRequiredResult:
        result = CallToolResult(
            content=[TextContent(type="text", text=answer.text)],
            structured_content=answer.data.model_dump(mode="json", by_alias=True, exclude_none=True),
        )
        return self.fn_metadata.convert_result(result)

    def _translated(self, error: UnexpectedToolError) -> ToolError:
        if isinstance(error.__cause__, PositionsError):
            return ToolError(failure_text(error.__cause__, reads=self.reads))
        return UnexpectedToolError(crash_text(reads=self.reads))


class _StrictMetadata(FuncMetadata):
    """Argument parsing that never turns a value into a missing one."""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        """Parse lists and objects that a host sends as JSON text, but leave "null" the text that it is.

        As the null it would parse to, it would silently widen an optional filter.
        """
        parsed = super().pre_parse_json(data)
        return {key: data[key] if value is None else value for key, value in parsed.items()}


class _StrictArguments(ArgModelBase):
    """Exactly the published schema: closed, each value of its type, and no null for an argument to be left out."""

    model_config = ConfigDict(**STRICT, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nulls(cls, given: dict[str, Any]) -> dict[str, Any]:
        if nulls := [name for name, value in given.items() if value is None]:
            raise ValueError(f"null is not a value of {', '.join(nulls)}; leave out what is not wanted")
        return given


def _arguments(handler: Callable[..., Any], without: Collection[str | None]) -> type[ArgModelBase]:
    """The model of what a client gives, validated by pydantic from the first call on."""
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(handler, eval_str=True).parameters.items()
        if name not in without
    }
    return create_model(f"{handler.__name__}Arguments", __base__=_StrictArguments, **fields)
