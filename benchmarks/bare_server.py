"""The least that answers with a page of positions: the SDK's server, a client that is kept, and one tool.

Over HTTP on a port, or over standard input and output where none is given.
"""

import sys

import httpx
from mcp.server.mcpserver import MCPServer

url, key, *port = sys.argv[1:]
client = httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
server = MCPServer("bare", log_level="ERROR")


@server.tool()
async def list_positions() -> str:
    """Symbols, quantities and values of the first page."""
    rows = (await client.get(url)).raise_for_status().json()["data"]
    return "\n".join(f"{row['symbol']},{row['quantity']},{row['market_value']}" for row in rows[:20])


if port:
    print(f"bare server at http://127.0.0.1:{port[0]}/mcp", file=sys.stderr, flush=True)
    server.run("streamable-http", host="127.0.0.1", port=int(port[0]))
else:
    server.run("stdio")
