"""The MCP server over Streamable HTTP, on this machine only, for callers with a token."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn

from positions_mcp.cli.commands import Commands
from positions_mcp.cli.composition import Venue, open_deps, open_venue, prepare_data_dir, warm_up
from positions_mcp.cli.token_file import TokenFile
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.text import label
from positions_mcp.settings import Settings

if TYPE_CHECKING:
    from positions_mcp.guard.guard import Guard
    from positions_mcp.server import PositionsServer
    from positions_mcp.tools.context import ToolContext

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8420
_SECONDS_TO_ANSWER = 1
"""How long calls may take to answer after a signal. A request in flight to the broker is waited for in any case."""

_log = logging.getLogger(__name__)


def serve_http(settings: Settings, *, host: str | None, port: int | None) -> int:
    """Serve until the process is told to stop. Returns the exit code.

    Raises:
        ConfigurationError: not an address of this machine, the port is taken, or the data directory cannot be used.
    """
    file = TokenFile(prepare_data_dir(settings))
    file.tokens()
    with (
        loopback_socket(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port) as listener,
        open_venue(settings) as venue,
    ):
        anyio.run(_serve, settings, venue, file, listener)
    return 0


async def _serve(settings: Settings, venue: Venue, file: TokenFile, listener: socket.socket) -> None:
    from positions_mcp.server import build_server

    sending: list[Guard] = []
    told_to_stop = False

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        async with open_deps(settings, venue) as deps:
            sending.append(deps.guard)
            if told_to_stop:
                deps.guard.close()
            yield deps

    server = build_server(
        parts,
        mode=settings.mode,
        accounts=settings.allowed_accounts,
        warm_up=warm_up,
        whose_token=whose_token(file),
    )

    def announce() -> None:
        _say(f"{settings.mode.shown} MCP server at {url_of(listener)}, on this machine only.")
        if not file.tokens():
            _say(f"Nobody has a token yet: `{Commands(settings)('token new NAME')}`")

    def send_nothing_more() -> None:
        nonlocal told_to_stop
        told_to_stop = True
        for guard in sending:
            guard.close()

    await serve_over_http(server, listener, announce=announce, on_signal=send_nothing_more)


@contextmanager
def loopback_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A bound socket on this machine's own interface; port 0 takes a free one.

    Raises:
        ConfigurationError: another interface, or the port is taken.
    """
    address = _loopback_address(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # asyncio sends small answers at once only where the socket names TCP.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((str(address), port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
            raise ConfigurationError(f"Port {port} on {address} cannot be used: {reason}.") from None
        yield listener


def url_of(listener: socket.socket) -> str:
    """Where clients find the server."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"


def whose_token(file: TokenFile) -> Callable[[str], str | None]:
    """Says whose a token is. While the file cannot be read, nobody is let in."""

    def owner(token: str) -> str | None:
        try:
            return file.owner(token)
        except ConfigurationError as error:
            _log.warning("%s", error.message)
            return None

    return owner


async def serve_over_http(
    server: PositionsServer,
    listener: socket.socket,
    *,
    announce: Callable[[], None],
    on_signal: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT. `on_signal` is called at once, before anything is waited for."""
    config = uvicorn.Config(
        server.http_app(listener.getsockname()[1]),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_ANSWER,
    )
    http = _Listening(config, announce)
    async with anyio.create_task_group() as tasks:

        async def stop_when_told() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    on_signal()
                    # It would complain of every stream that a client still listens on.
                    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
                    http.should_exit = True

        tasks.start_soon(stop_when_told)
        await http.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class _Listening(uvicorn.Server):
    """Says when it can be reached, and leaves signals to the command."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _loopback_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(DEFAULT_HOST if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ConfigurationError(
            f"This server listens on this machine only, and {label(host)} is not on it.",
            hint="Leave --host out, or use 127.0.0.1, ::1 or localhost. For other machines, use a tunnel of your own.",
        )
    return address
