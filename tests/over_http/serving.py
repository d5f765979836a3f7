"""A server that really listens, in the test's own process, and callers with tokens."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from beginnings import begin_book
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.cli.serving.connections import Connections
from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, Entrance, listening_socket
from positions_mcp.cli.serving.over_http import names_in, serve_over_http, whose_token
from positions_mcp.cli.serving.replica import Replica, replica_of
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.server import build_server
from positions_mcp.settings import load
from positions_mcp.tools.context import ToolContext
from tools.serving import StandingClock


@dataclass
class Served:
    """Where a server listens, and the tokens it knows."""

    url: str
    tokens: TokenFile
    clock: StandingClock
    replica: Replica

    def token(self, name: str) -> str:
        """A new caller's token."""
        return self.tokens.issue(name, self.clock.now())

    @asynccontextmanager
    async def caller(self, name: str, era: str, person: Any = None) -> AsyncIterator[Client]:
        """A client of a new caller."""
        async with calling(self.url, self.token(name), era, person) as client:
            yield client

    def client(self, token: str, era: str, **said: Any) -> AbstractAsyncContextManager[Client]:
        """One more conversation of a caller."""
        return calling(self.url, token, era, **said)

    async def post(self, body: dict[str, Any] | None = None, **headers: str) -> httpx2.Response:
        """One raw request, as anybody on the machine can make it."""
        said = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx2.AsyncClient() as http:
            return await http.post(self.url, json=body or INITIALIZE, headers={**said, **named})


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    },
}


@asynccontextmanager
async def calling(url: str, token: str, era: str, person: Any = None, **said: Any) -> AsyncIterator[Client]:
    """A client over HTTP; without a person it cannot show a form."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=era, elicitation_callback=person, **said) as client:
            yield client


@asynccontextmanager
async def http_server(data_dir: Path, connections: Connections | None = None, **http: Any) -> AsyncIterator[Served]:
    """The server as `serve --transport http` composes it, on a paper exchange whose clock stands."""
    clock = StandingClock()
    settings = load({"data_dir": data_dir, "paper": {"scenario": "demo"}, "approval": {"wait_s": 0}, "http": http})
    begin_book(data_dir, "demo", clock)
    tokens = TokenFile(data_dir)
    listening = anyio.Event()
    with (
        open_venue(settings, real_time=clock) as venue,
        listening_socket(ON_THIS_MACHINE.address, 0) as listener,
        replica_of(settings) as replica,
    ):
        if connections is not None:  # who does not read is noticed as soon as this is full, which may be megabytes
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)

        @asynccontextmanager
        async def parts() -> AsyncIterator[ToolContext]:
            async with open_deps(settings, venue) as deps:
                yield replace(deps, updates_every_s=0.01)

        server = build_server(
            parts,
            mode=settings.mode,
            accounts=settings.allowed_accounts,
            whose_token=whose_token(tokens),
        )
        serve = partial(
            serve_over_http,
            server,
            listener,
            announce=listening.set,
            on_signal=lambda: None,
            sessions_per_caller=settings.http.max_sessions_per_caller,
            names=partial(names_in, tokens),
            replica=replica,
            connections=connections,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await listening.wait()
            yield Served(Entrance().url(listener), tokens, clock, replica)
            os.kill(os.getpid(), signal.SIGTERM)  # received by the server, which has said that it listens
