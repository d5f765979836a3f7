"""A small HTTP server on this machine that can misbehave on every level, and that counts what reached it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from positions_mcp.api import PositionsClient

KEY = "key-id.the-secret-half-of-the-key"
ACCOUNT = 19816
AAPL = "a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8"
CALL = "e5e6e7e8-f5f6-a5a6-b5b6-b7b8b9babcbe"
ORDER = "019c0b57-0850-7b0b-8a2c-5ee3fb5a5876"
INSTRUCTION = "0195f6d0-a1b2-7c3d-8e4f-5a6b7c8d9e02"


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    connection: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True)
        assert all(len(value) == 1 for value in values.values()), "a parameter came twice"
        return {name: value[0] for name, value in values.items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Script:
    """Decides by the request what the reply is; used as a decorator."""

    decide: Callable[[Received], Reply]


@dataclass
class Loopback:
    """The server: where it is, every connection made to it and every request it has read to the end."""

    url: str = ""
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def writes(self) -> list[Received]:
        return [request for request in self.requests if request.method != "GET"]

    def client(self, **options: Any) -> PositionsClient:
        return PositionsClient(**{"base_url": self.url, "api_key": KEY, **options})


@asynccontextmanager
async def serving(*replies: Reply | Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A server that gives `replies` one after another, the last one for good; a `Script` decides by the request."""
    server = Loopback()
    open_writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        number = server.connections
        open_writers.add(writer)
        try:
            while request := await _read_request(reader, number):
                server.requests.append(request)
                server.arrived.set()
                reply = replies[min(len(server.requests), len(replies)) - 1]
                await (reply.decide(request) if isinstance(reply, Script) else reply)(writer)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            open_writers.discard(writer)
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for writer in list(open_writers):
            writer.transport.abort()
        await listener.wait_closed()
        await asyncio.sleep(0)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(connection, method, target, headers, body)


def envelope(data: object, **metadata: object) -> dict[str, object]:
    return {"data": data, "error": None, "metadata": {"request_id": "request-1", **metadata}}


def answer(status: int = 200, document: object = None, headers: Mapping[str, str] | None = None) -> Reply:
    """A complete answer: bytes as they are, anything else as JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return raw(_head(status, len(body), headers) + body)


def data(rows: object, status: int = 200, **metadata: object) -> Reply:
    return answer(status, envelope(rows, **metadata))


def raw(content: bytes) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return reply


def cut(document: object, keep: int) -> Reply:
    """An answer that breaks off after `keep` bytes of its body."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        body = json.dumps(document).encode()
        writer.write(_head(200, len(body)) + body[:keep])
        await writer.drain()
        writer.close()

    return reply


async def drop(writer: asyncio.StreamWriter) -> None:
    """Closes the connection in good order without a word."""
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Resets the connection."""
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


def _head(status: int, length: int, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {length}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def position(**fields: object) -> dict[str, object]:
    return {
        "account_id": ACCOUNT,
        "instrument_id": AAPL,
        "symbol": "AAPL",
        "quantity": "100",
        "available_quantity": "100",
        "instrument_type": "COMMON_STOCK",
        "position_type": "LONG",
        "market_value": "15050.00",
        **fields,
    }


def order(**fields: object) -> dict[str, object]:
    return {
        "id": ORDER,
        "account_id": ACCOUNT,
        "instrument_id": AAPL,
        "symbol": "AAPL",
        "instrument_type": "COMMON_STOCK",
        "order_type": "MARKET",
        "time_in_force": "DAY",
        "side": "SELL",
        "status": "PENDING_NEW",
        "quantity": "100",
        "filled_quantity": "0",
        "leaves_quantity": "100",
        "created_at": "2025-10-03T14:01:15.000000000Z",
        **fields,
    }


def instruction(**fields: object) -> dict[str, object]:
    return {
        "id": INSTRUCTION,
        "account_id": ACCOUNT,
        "instruction_id": "key-1",
        "instruction_type": "EXERCISE",
        "instrument_id": CALL,
        "quantity": "1",
        "status": "SENT",
        "symbol": "AAPL 280121C00195000",
        **fields,
    }
