"""The supervisor's page, listening on this machine: alone for `positions-mcp desk`, or beside a server."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import anyio
from starlette.applications import Starlette
from starlette.types import ASGIApp

from positions_mcp.cli.options import LAST_PORT
from positions_mcp.cli.serving.connections import Connections
from positions_mcp.cli.serving.entrance import Certificate, bound_socket
from positions_mcp.cli.serving.listening import Listening
from positions_mcp.domain.errors import ConfigurationError

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
