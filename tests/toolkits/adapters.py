"""In the toolkits' environment: `python adapters.py TOOLKIT COMMAND…` prints what a toolkit makes of the server.

Each lists the tools, converts all of them, and calls those that a conversation about a close begins with, naming every
argument and leaving out by null what is not wanted, as a model with strict schemas does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Call = Callable[[str, dict[str, Any]], Awaitable[str]]


def given(schema: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
    """Every argument, null where it is not wanted."""
    return dict.fromkeys(schema["properties"]) | wanted


async def conversation(schemas: Mapping[str, Mapping[str, Any]], call: Call) -> dict[str, str]:
    """The answers of a close that is planned and refused, because nobody can be asked."""
    said = {
        name: await call(name, given(schemas[name], **wanted))
        for name, wanted in (
            ("list_positions", {}),
            ("summarize_positions", {}),
            ("preview_close", {"instruments": ["KO"]}),
        )
    }
    said["close_positions"] = await call("close_positions", given(schemas["close_positions"], instruments=["KO"]))
    return said


async def openai_agents(command: list[str]) -> dict[str, Any]:
    from agents.mcp import MCPServerStdio, MCPUtil
    from agents.strict_schema import ensure_strict_json_schema

    params = {"command": command[0], "args": command[1:]}
    async with MCPServerStdio(params=params, client_session_timeout_seconds=120) as server:  # type: ignore[arg-type]
        tools = await server.list_tools()
        plain = [MCPUtil.to_function_tool(tool, server, convert_schemas_to_strict=False) for tool in tools]
        strict = {tool.name: ensure_strict_json_schema(json.loads(json.dumps(tool.inputSchema))) for tool in tools}

        async def call(name: str, arguments: dict[str, Any]) -> str:
            answer = await server.call_tool(name, arguments)
            return str(answer.content[0].text)  # type: ignore[union-attr]

        schemas = {tool.name: tool.inputSchema for tool in tools}
        return {
            "tools": [tool.name for tool in plain],
            "strict": {name: _is_strict(schema) for name, schema in strict.items()},
            "said": await conversation(schemas, call),
        }


async def langchain(command: list[str]) -> dict[str, Any]:
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_mcp_adapters.tools import load_mcp_tools

    client = MultiServerMCPClient({"positions": {"transport": "stdio", "command": command[0], "args": command[1:]}})
    async with client.session("positions") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}
        strict = {name: convert_to_openai_tool(tool, strict=True)["function"] for name, tool in tools.items()}

        async def call(name: str, arguments: dict[str, Any]) -> str:
            try:
                answer = await tools[name].ainvoke(arguments)
            except Exception as error:  # the toolkit raises what a tool answers as an error
                return str(error)
            return str(answer[0]["text"]) if isinstance(answer, list) else str(answer)

        schemas = {name: tool.args_schema for name, tool in tools.items()}
        return {
            "tools": list(tools),
            "strict": {name: bool(function["strict"]) for name, function in strict.items()},
            "said": await conversation(schemas, call),  # type: ignore[arg-type]
        }


async def google_genai(command: list[str]) -> dict[str, Any]:
    from google.genai import types
    from google.genai._mcp_utils import mcp_to_gemini_tool

    async with _session(command) as session:
        tools = (await session.list_tools()).tools
        declared = [
            types.FunctionDeclaration(
                name=tool.name, description=tool.description, parameters_json_schema=tool.inputSchema
            )
            for tool in tools
        ]
        refused = 0
        for tool in tools:
            try:
                mcp_to_gemini_tool(tool)
            except AttributeError:
                refused += 1

        async def call(name: str, arguments: dict[str, Any]) -> str:
            answer = await session.call_tool(name, arguments)
            return str(answer.content[0].text)

        return {
            "tools": [str(each.name) for each in declared],
            "refused by its own adapter": refused,
            "said": await conversation({tool.name: tool.inputSchema for tool in tools}, call),
        }


@asynccontextmanager
async def _session(command: list[str]) -> Any:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(command=command[0], args=command[1:])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


def _is_strict(schema: Any) -> bool:
    """Whether every object names each of its properties as required and takes no others."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    closed = schema.get("type") != "object" or (
        schema.get("additionalProperties") is False
        and sorted(schema.get("required", [])) == sorted(schema.get("properties", {}))
    )
    return closed and all(map(_is_strict, schema.values()))


TOOLKITS = {"openai-agents": openai_agents, "langchain": langchain, "google-genai": google_genai}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(TOOLKITS[sys.argv[1]](sys.argv[2:]))))
