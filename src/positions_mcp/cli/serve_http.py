"""The MCP server over Streamable HTTP, on this machine only, for callers with a token."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from positions_mcp.cli.callers import Callers
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.composition import Venue, lazy_store, open_deps, open_venue, prepare_data_dir, warm_up
from positions_mcp.cli.connections import Connections
from positions_mcp.cli.lazy_store import SharedClock
from positions_mcp.cli.listening import Listening
from positions_mcp.cli.replica import Replica, replica_of
from positions_mcp.cli.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.text import label
from positions_mcp.http_sessions import App
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings

if TYPE_CHECKING:
    from positions_mcp.guard.guard import Guard
    from positions_mcp.server import PositionsServer
    from positions_mcp.tools.context import ToolContext

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8420
_TICKS_A_SECOND = 10
_DESCRIPTORS = 2_048
"""Enough for every connection that callers and the page may have, and for what answers them."""

_log = logging.getLogger(__name__)


def serve_http(settings: Settings, *, host: str | None, port: int | None, record: Path | None = None) -> int:
    """Serve until the process is told to stop. Returns the exit code.

    Raises:
        ConfigurationError: not an address of this machine, the port is taken, or the data directory cannot be used.
    """
    this_platform().allow_descriptors(_DESCRIPTORS)
    file = TokenFile(prepare_data_dir(settings))
    file.tokens()
    with (
        loopback_socket(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port) as listener,
        open_venue(settings, record=record) as venue,
        replica_of(settings) as replica,
    ):
        anyio.run(_serve, settings, venue, file, listener, replica)
    return 0


async def _serve(settings: Settings, venue: Venue, file: TokenFile, listener: socket.socket, replica: Replica) -> None:
    from positions_mcp.request_states import RequestStates
    from positions_mcp.server import build_server

    store = lazy_store(settings)
    clock = SharedClock(SystemClock(), store)
    # A file is this process's alone; one database may serve many of them.
    states = RequestStates(lambda: store.open().sealing_keys(clock.now())) if settings.store.url else None
    senders = _Senders()
    replica.drain.leave, replica.drain.settled = senders.leave, senders.settled

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        async with open_deps(settings, venue, store) as deps:
            senders.add(deps.guard)
            yield deps

    server = build_server(
        parts,
        mode=settings.mode,
        accounts=settings.allowed_accounts,
        warm_up=warm_up,
        whose_token=whose_token(file),
        request_states=states,
    )

    def announce() -> None:
        _say(f"{settings.mode.shown} MCP server at {url_of(listener)}, on this machine only.")
        if not file.tokens():
            _say(f"Nobody has a token yet: `{Commands(settings)('token new NAME')}`")

    try:
        await serve_over_http(
            server,
            listener,
            announce=announce,
            on_signal=senders.close,
            sessions_per_caller=settings.http.max_sessions_per_caller,
            names=partial(names_in, file),
            replica=replica,
        )
    finally:
        store.close()


class _Senders:
    """What sends in this process: the guard of each life of the server, and what the end of the process is to them."""

    def __init__(self) -> None:
        self._guards: list[Guard] = []
        self._is_over = False

    def add(self, guard: Guard) -> None:
        self._guards.append(guard)
        if self._is_over:
            guard.close()

    def leave(self) -> None:
        for guard in self._guards:
            guard.leave()

    async def settled(self) -> None:
        for guard in self._guards:
            await guard.settled()

    def close(self) -> None:
        self._is_over = True
        for guard in self._guards:
            guard.close()


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
        this_platform().claim_port(listener)
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
    """Says whose a token is. While the file cannot be read, nobody is let in, which is logged once."""
    wrong = ""

    def owner(token: str) -> str | None:
        nonlocal wrong
        try:
            found, now_wrong = file.owner(token), ""
        except ConfigurationError as error:
            found, now_wrong = None, error.message
        if now_wrong and now_wrong != wrong:
            _log.warning("%s", now_wrong)
        wrong = now_wrong
        return found

    return owner


def names_in(file: TokenFile) -> Collection[str]:
    """Whose tokens are good; nobody's while the file cannot be read."""
    try:
        return {token.name for token in file.tokens()}
    except ConfigurationError:
        return ()


async def serve_over_http(
    server: PositionsServer,
    listener: socket.socket,
    *,
    announce: Callable[[], None],
    on_signal: Callable[[], None],
    sessions_per_caller: int,
    names: Callable[[], Collection[str]],
    replica: Replica,
    connections: Connections | None = None,
) -> None:
    """Serve until the process is told to stop. `on_signal` is called when nothing more is waited for.

    `names` are those with a token: once a second, the connections of others end, streams too.
    """
    connections = connections or Connections()
    callers = Callers(connections)
    port = listener.getsockname()[1]
    app = server.http_app(
        port,
        sessions_per_caller=sessions_per_caller,
        around=lambda inner: callers.inside(replica.known(inner)),
        around_whole=replica.whole,
    )
    http = _Announced(replica.outside(callers.outside(app)), connections, announce, names)
    async with anyio.create_task_group() as tasks:

        def end() -> None:
            on_signal()
            # It would complain of every stream that a client still listens on.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            http.should_exit = True

        async def stop_when_told() -> None:
            with this_platform().stop_signals() as signals:
                async for _ in signals:
                    if replica.drain.is_draining:
                        replica.drain.hurry()
                    else:
                        tasks.start_soon(replica.drain.out, end)

        tasks.start_soon(stop_when_told)
        await http.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class _Announced(Listening):
    """Says when it can be reached, and ends what belongs to callers who have no token any more."""

    def __init__(
        self, app: App, connections: Connections, announce: Callable[[], None], names: Callable[[], Collection[str]]
    ) -> None:
        super().__init__(app, connections)
        self._announce = announce
        self._known = connections
        self._names = names

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if not counter % _TICKS_A_SECOND:
            self._known.keep_callers(self._names())
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


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
