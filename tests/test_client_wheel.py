"""The client can be installed alone, from the built wheel, without anything of the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from release.places import run

from installing import environment_of
from positions_mcp import __version__

REPOSITORY = Path(__file__).parents[1]
PROGRAM = """
import asyncio, importlib.metadata, importlib.util, sys
from positions_mcp.api import PositionsClient

async def main():
    async with PositionsClient(sys.argv[1], "k.s") as client:
        print(len((await client.read_book(19816)).positions))

asyncio.run(main())
print(importlib.metadata.version("positions-mcp-client"))
print([name for name in ("mcp", "sqlalchemy", "starlette", "uvicorn", "holidays") if importlib.util.find_spec(name)])
print([name for name in ("guard", "tools", "paper", "cli") if importlib.util.find_spec(f"positions_mcp.{name}")])
"""


class Empty(BaseHTTPRequestHandler):
    """An account without positions."""

    def do_GET(self) -> None:
        body = json.dumps({"data": [], "error": None, "metadata": {"total_items": 0}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_the_client_alone_reads_a_book(tmp_path: Path, address: str):
    python = environment_of(REPOSITORY / "packaging" / "client", tmp_path) / "python"
    assert run(python, "-c", PROGRAM, address, cwd=tmp_path).splitlines() == ["0", __version__, "[]", "[]"]
