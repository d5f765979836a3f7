"""The peer: an MCP server that FastMCP generates from the specification of the API. Runs in `.venv-peer`."""

import json
import sys
from pathlib import Path

import httpx2
from fastmcp import FastMCP

base_url, key, specification = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())

client = httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
FastMCP.from_openapi(openapi_spec=specification, client=client, name="peer").run("stdio", show_banner=False)
