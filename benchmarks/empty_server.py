"""The least that an MCP server can be: what the start of any other is compared with."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("empty")


@server.tool()
def nothing() -> None:
    """Does nothing."""


server.run("stdio")
