"""One call of a tool, from the arguments that came to the result that goes back, with every failure in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import ValidationError

from positions_mcp.domain.errors import PositionsError
from positions_mcp.tools._arguments import ToolArguments, as_published
from positions_mcp.tools._call import begin, kept_alive
from positions_mcp.tools._definition import Answer, ToolDefinition
from positions_mcp.tools._errors import crash_text, failure_text
from positions_mcp.tools._mistakes import argument_text, nulls_text

ArgumentsT = TypeVar("ArgumentsT", bound=ToolArguments)


async def run(
    definition: ToolDefinition[Any], schema: Mapping[str, Any], arguments: Mapping[str, Any], sdk: Context[Any, Any]
) -> CallToolResult | InputRequiredResult:
    """The result of a call; `schema` is what is published of the arguments.

    Raises ToolError with the words for the model; MCPError, an error of the protocol, passes through.
    """
    try:
        return await _answered(definition, schema, arguments, sdk)
    except ToolError as error:
        if not definition.failed:
            raise
        raise type(error)(f"{error} {definition.failed}") from error


async def _answered(
    definition: ToolDefinition[Any], schema: Mapping[str, Any], arguments: Mapping[str, Any], sdk: Context[Any, Any]
) -> CallToolResult | InputRequiredResult:
    try:
        given = _validated(definition, schema, arguments)
        call = await begin(sdk)
        call.caller.check_may(definition.name)
        async with kept_alive(call):
            answer = await definition.handler(call, given)
        return answer if isinstance(answer, InputRequiredResult) else _result(answer)
    except (ToolError, MCPError):
        raise
    except PositionsError as error:
        raise ToolError(failure_text(error, reads=definition.reads)) from error
    except Exception as error:
        raise UnexpectedToolError(crash_text(reads=definition.reads)) from error


def _validated(
    definition: ToolDefinition[ArgumentsT], schema: Mapping[str, Any], arguments: Mapping[str, Any]
) -> ArgumentsT:
    given = as_published(arguments, schema, reads=definition.reads)
    if not definition.reads and (nulls := nulls_text(given, schema)):
        raise ToolError(nulls)
    try:
        return definition.arguments.model_validate(given)
    except ValidationError as error:
        raise ToolError(argument_text(error, schema)) from error


def _result(answer: Answer) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=answer.text)],
        structured_content=answer.data.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
