"""What anybody on the machine can put on a connection, byte by byte, and a server whose time a test moves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream
from anyio.lowlevel import checkpoint

from over_http.serving import INITIALIZE, Served, http_server
from positions_mcp.cli.serving.connections import Connected, Connections, Limits, Phase

PATIENCE_S = 20


@dataclass
class Seconds:
    """A clock that stands until a test moves it."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Wire:
    """One connection of a client."""

    stream: SocketStream

    async def send(self, data: bytes | str) -> None:
        await self.stream.send(data if isinstance(data, bytes) else data.encode())

    async def hears(self) -> bytes:
        """Everything until the server closes."""
        heard = b""
        with anyio.fail_after(PATIENCE_S):
            try:
                while True:
                    heard += await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return heard

    async def answer(self) -> bytes:
        """One answer whose length is stated."""
        heard = b""
        with anyio.fail_after(PATIENCE_S):
            while b"\r\n\r\n" not in heard:
                heard += await self.stream.receive()
            head, _, body = heard.partition(b"\r\n\r\n")
            lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            while lengths and len(body) < lengths[0]:
                body += await self.stream.receive()
        return head + b"\r\n\r\n" + body


@dataclass
class Place:
    """A server, what it knows of its connections, and its time."""

    address: tuple[str, int]
    connections: Connections
    seconds: Seconds
    stack: AsyncExitStack
    served: Served | None = None
    wires: list[Wire] = field(default_factory=list)

    @property
    def callers(self) -> Served:
        assert self.served is not None
        return self.served

    async def connect(self, source: str | None = None) -> Wire:
        """One more connection, closed at the end of the test."""
        stream = await anyio.connect_tcp(*self.address, local_host=source)
        self.wires.append(Wire(await self.stack.enter_async_context(stream)))
        return self.wires[-1]

    async def saying(self, data: bytes | str, source: str | None = None) -> Wire:
        """One more connection, on which `data` is sent."""
        wire = await self.connect(source)
        await wire.send(data)
        return wire

    def phases(self) -> list[Phase]:
        return [connection.phase for connection in self.connections]

    async def sees(self, *phases: Phase) -> list[Connected]:
        """Wait until the server's connections, in any order, are in these phases; those connections."""
        await until(lambda: sorted(map(str, self.phases())) == sorted(map(str, phases)))
        self.connections.sweep()
        return list(self.connections)

    def passes(self, seconds: float) -> None:
        """Let time pass, as the server sees it."""
        self.connections.sweep()
        self.seconds.at += seconds
        self.connections.sweep()

    def request(self, method: str = "POST", token: str = "", body: Any = INITIALIZE, **headers: str) -> str:
        """A whole request."""
        text = json.dumps(body) if body is not None else ""
        said = {
            "Host": "{}:{}".format(*self.address),
            "Accept": "application/json, text/event-stream",
            **({"Content-Type": "application/json", "Content-Length": str(len(text))} if method == "POST" else {}),
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{method} /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in said.items() if value)]
        return "\r\n".join(lines) + "\r\n\r\n" + (text if method == "POST" else "")


@asynccontextmanager
async def limited(data_dir: Path, limits: Limits = Limits()) -> AsyncIterator[Place]:  # noqa: B008
    """The server for callers, whose clock for connections stands."""
    seconds = Seconds()
    connections = Connections(limits, seconds)
    async with http_server(data_dir, connections) as served, AsyncExitStack() as stack:
        address = urlsplit(served.url)
        assert address.hostname
        assert address.port
        yield Place((address.hostname, address.port), connections, seconds, stack, served)


async def until(condition: Callable[[], bool]) -> None:
    """Let the server work until something is so."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await checkpoint()
