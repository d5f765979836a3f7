"""HTTP, with TLS or without, for callers and for the supervisor's page, with an end to every wait.

The supervisor's page listens on this machine: alone for `positions-mcp desk`, or beside a server.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any, cast

import anyio
import h11
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from positions_mcp.asgi import unambiguous
from positions_mcp.cli.options import LAST_PORT
from positions_mcp.cli.serving.connections import LONGEST_WITHOUT_A_REQUEST_S, Connections, Phase
from positions_mcp.cli.serving.entrance import Certificate, bound_socket
from positions_mcp.domain.errors import ConfigurationError

CONNECTION = "connection"
"""Where a request's state has its connection."""
_TICKS_A_SECOND = 10
_ACCEPTED_AT_ONCE = 32
"""Fewer than an address may have by far: what a client has sent is read before newer connections end its own."""
_SECONDS_TO_ANSWER = 1
"""How long calls may take to answer after the end. A request in flight to the broker is waited for in any case."""

_log = logging.getLogger(__name__)


def _nothing() -> None:
    """Where nobody has to be told."""


class Listening(uvicorn.Server):
    """A server that leaves signals to the command that runs it, and keeps nobody waiting who keeps it waiting."""

    def __init__(
        self,
        app: Any,
        connections: Connections,
        certificate: Certificate | None = None,
        *,
        announce: Callable[[], object] = _nothing,
        each_second: Callable[[], object] = _nothing,
    ) -> None:
        config = _Config(
            unambiguous(app),
            http=_Watched,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",  # what a stranger sends is no news
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_ACCEPTED_AT_ONCE,
            timeout_keep_alive=int(LONGEST_WITHOUT_A_REQUEST_S),
            timeout_graceful_shutdown=_SECONDS_TO_ANSWER,
        )
        config.connections = self._connections = connections
        self._certificate = certificate
        config.tls = certificate.context if certificate else None
        self._announce = announce
        self._each_second = each_second
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: look whom nobody waits for any longer."""
        self._connections.sweep()
        if not counter % _TICKS_A_SECOND:
            self._renew()
            self._each_second()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def _renew(self) -> None:
        try:
            if self._certificate is not None:
                self._certificate.renew()
        except ConfigurationError as error:
            _log.warning("%s The one before it stays in use.", error.message)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield


class _Config(uvicorn.Config):
    connections: Connections
    tls: ssl.SSLContext | None

    def load(self) -> None:
        super().load()
        self.ssl = self.tls


class _Watched(H11Protocol):
    """One connection. Implements `connections.Connected`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION: self}, _loop)
        self._connections = cast("_Config", config).connections
        self.address = ""

    @property
    def phase(self) -> Phase:
        if self.transport.is_closing() or self.flow.write_paused:
            return Phase.READING
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY
        return Phase.ANSWER if self._is_answering() else Phase.REQUEST

    @property
    def request(self) -> object:
        return self.cycle

    def end(self) -> None:
        self.transport.abort()

    def give_up(self) -> None:
        phase = self.phase
        has_begun = phase is Phase.BODY or bool(self.conn.trailing_data[0])
        if phase is Phase.READING or self._has_answered() or not has_begun:
            self.transport.abort()
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"This server has waited too long for {phase.awaited}.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base does
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        if self._has_answered():
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _has_answered(self) -> bool:
        """Whether the answer to the latest request has begun, so that nothing else can be said."""
        return self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        body = f"{words}\n".encode()
        headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "connection": "close"}
        events: Sequence[h11.Event] = (
            h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()


_MOST_TRIED = 20
_SECONDS_TO_END = 2


@contextmanager
def desk_sockets(port: int) -> Iterator[tuple[Sequence[socket.socket], int]]:
    """Sockets on this machine's own interfaces, at `port` or the next one that is free. Port 0 takes any.

    Both IPv4 and IPv6 are taken, where there is IPv6: `localhost` means either, and nobody else may answer for it.
    Raises ConfigurationError where none of twenty ports can be used.
    """
    candidates = [0] if port == 0 else range(port, min(port + _MOST_TRIED, LAST_PORT + 1))
    reason = None
    for candidate in candidates:
        with ExitStack() as stack:
            try:
                sockets = _bound(stack, candidate)
            except OSError as error:
                reason = error.strerror
                continue
            yield sockets, sockets[0].getsockname()[1]
            return
    tried = f"Ports {port} to {candidates[-1]}" if len(candidates) > 1 else f"Port {port}"
    raise ConfigurationError(f"{tried} cannot be used: {reason}.", hint="Name another with --port.")


async def serve_page(
    app: ASGIApp | Starlette,
    sockets: Sequence[socket.socket],
    connections: Connections | None = None,
    certificate: Certificate | None = None,
) -> None:
    server, given = Listening(app, connections or Connections(), certificate), list(sockets)
    try:
        await server.serve(sockets=given)
    except anyio.get_cancelled_exc_class():
        # It would complain of every request that is cut off, where a host shows what this says.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        if server.started:  # what it began is ended before it is left: the streams to pages, and its lifespan
            with anyio.move_on_after(_SECONDS_TO_END, shield=True):
                await server.shutdown(sockets=given)
        raise


def _bound(stack: ExitStack, port: int) -> list[socket.socket]:
    first = _listener(stack, "127.0.0.1", port)
    taken = first.getsockname()[1]
    if not socket.has_ipv6:
        return [first]
    try:
        return [first, _listener(stack, "::1", taken)]
    except OSError as error:
        if error.errno in _NO_IPV6:
            return [first]
        raise


def _listener(stack: ExitStack, host: str, port: int) -> socket.socket:
    listener = stack.enter_context(bound_socket(host, port))
    # From here on a browser that is sent here is answered, and no other process can take the port as well.
    listener.listen()
    return listener


_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""This machine has no IPv6 loopback."""
