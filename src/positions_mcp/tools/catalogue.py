"""The catalogue: every tool there is, as it is published; what runs it is imported at its first call.

A client waits for the list of tools first. What it is told is written in `definitions/`, one file for each tool, made
from the tools themselves by `make definitions`; a test holds both equal.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import ToolAnnotations

from positions_mcp.tools.lazy_context import NOT_READY

if TYPE_CHECKING:
    from mcp.server.mcpserver.context import Context

    from positions_mcp.tools._definition import ToolDefinition

DEFINITIONS = Path(__file__).with_name("definitions")

NAMES = (
    "list_positions",
    "summarize_positions",
    "project_expiration",
    "preview_close",
    "close_positions",
    "close_all_positions",
    "list_instructions",
    "preview_instructions",
    "submit_instructions",
    "cancel_instruction",
    "get_operation",
    "list_operations",
    "get_trading_status",
    "halt_trading",
)
"""In the order in which a client sees them. A tool that is not here does not exist; each is a module of this name."""

_log = logging.getLogger(__name__)


def published_tools() -> list[Tool]:
    """Every tool, as a server registers it."""
    return [
        published_tool(json.loads(file_of(name).read_text(encoding="utf-8")), partial(definition_of, name))
        for name in NAMES
    ]


def file_of(name: str) -> Path:
    return DEFINITIONS / f"{name}.json"


def definition_of(name: str) -> ToolDefinition[Any]:
    definition: ToolDefinition[Any] = import_module(f"positions_mcp.tools.{name}").TOOL
    return definition


def published_tool(published: Mapping[str, Any], load: Callable[[], ToolDefinition[Any]]) -> Tool:
    """A tool of which this is published, and which `load` brings in when it is called."""
    return _PublishedTool(
        fn=load,
        name=published["name"],
        title=published["title"],
        description=published["description"],
        parameters=published["inputSchema"],
        fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=published["outputSchema"]),
        is_async=True,
        annotations=ToolAnnotations.model_validate(published["annotations"]),
        meta=published.get("_meta"),
    )


class _PublishedTool(Tool):
    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ARG002 — the SDK's signature
        """Answer a call. Raises ToolError with the words for the model; MCPError passes through."""
        try:
            from positions_mcp.tools._running import run

            definition = self.fn()
        except Exception as error:
            _log.exception("The tool %s cannot be loaded", self.name)
            raise UnexpectedToolError(NOT_READY) from error
        return await run(definition, self.parameters, arguments, context)
