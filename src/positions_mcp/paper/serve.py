"""The paper exchange over TCP, on loopback unless told otherwise; sockets really are reset, cut and refused."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import uvicorn
from anyio.to_thread import run_sync
from starlette.types import Message, Receive, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.paper.faults import AnswerTruncated, Fault, TransportFault
from positions_mcp.paper.replaying import Replay

HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_REFUSAL_SECONDS = 2.0
_KEEP_ALIVE_SECONDS = 75
Application = Callable[[Message, Receive, Send], Awaitable[None]]
_connections: dict[tuple[str, int], asyncio.Transport] = {}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Protocol(H11Protocol):
    """Remembers the transport of every connection, so that one of them can be made to fail."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base does
        super().connection_made(transport)
        if self.client is not None:
            _connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            _connections.pop(self.client, None)
        super().connection_lost(exc)


class _FailingTransport:
    """Runs the application and turns its transport faults into the real thing."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except TransportFault as fault:
            transport = _connections.get(tuple(scope["client"]))
            if transport is None:
                return
            if isinstance(fault, AnswerTruncated):
                transport.close()
            else:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                transport.abort()
            message: Message = {}
            while message.get("type") != "http.disconnect":
                message = await receive()


class _Listening(uvicorn.Server):
    """Says at which port it listens, once it does."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[int], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        first = not self.started
        await super().startup(sockets)
        if first and self.started:
            self.config.port = self.servers[0].sockets[0].getsockname()[1]
            await uvicorn.Server.on_tick(self, 0)  # else the first answers have no Date
            self._announce(self.config.port)


class _Server(_Listening):
    """Listens, but not for as long as a `refuse` fault says: then the operating system refuses connections."""

    def __init__(self, config: uvicorn.Config, exchange: PaperExchange, announce: Callable[[int], None]) -> None:
        super().__init__(config, announce)
        self._exchange = exchange
        self._refusing_until: float | None = None
        exchange.listener = self._refuse

    async def on_tick(self, counter: int) -> bool:
        if self._refusing_until is not None and monotonic() >= self._refusing_until:
            self._refusing_until = None
            await self.startup()
        elif self._refusing_until is None and (fault := await run_sync(self._exchange.strike_refusal)):
            self._refuse(fault)
        return await super().on_tick(counter)

    def _refuse(self, fault: Fault) -> None:
        """Closes the listening socket, and every connection but those on which a request is being answered."""
        self._refusing_until = monotonic() + float(_REFUSAL_SECONDS if fault.seconds is None else fault.seconds)
        for server in self.servers:
            server.close()
        for protocol in list(self.server_state.connections):
            protocol.shutdown()


def serve(exchange: PaperExchange, port: int, announce: Callable[[int], None], host: str = HOST) -> None:
    """Serves until interrupted. `announce` is called with the port once connections are accepted (port 0 picks one).

    On another host than this machine, the control endpoint asks for a key as well.
    """
    exchange.control_needs_key = not is_loopback(host)
    _Server(_config(exchange.app, port, host), exchange, announce).run()


def serve_replay(replay: Replay, port: int, announce: Callable[[int], None]) -> None:
    """Serves a recorded session on this machine until interrupted."""
    _Listening(_config(replay, port, HOST), announce).run()


def _config(app: Application, port: int, host: str) -> uvicorn.Config:
    try:  # uvicorn itself would end the process with a line of its log
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise ValueError(f"port {port} on {host} cannot be used: {why}; give another") from None
    return uvicorn.Config(
        _FailingTransport(app),
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )
