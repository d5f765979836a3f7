"""The MCP server over Streamable HTTP: here for callers with a token, elsewhere for callers who sign in."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.asgi import answer
from positions_mcp.cli.assembly.composition import Venue, open_deps, open_venue
from positions_mcp.cli.assembly.lazy_store import SharedClock
from positions_mcp.cli.assembly.stores import lazy_store, prepare_data_dir
from positions_mcp.cli.commands import NAMED, Commands
from positions_mcp.cli.serving.connections import Connected, Connections, connections_for
from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, Entrance, listening_socket
from positions_mcp.cli.serving.event_loop import serve
from positions_mcp.cli.serving.first_answer import warm_up
from positions_mcp.cli.serving.listening import CONNECTION, Listening
from positions_mcp.cli.serving.replica import Replica, replica_of
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.door.proxies import Proxies
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings

if TYPE_CHECKING:
    from positions_mcp.cli.serving.sign_in import SignIn
    from positions_mcp.guard.guard import Guard
    from positions_mcp.server import PositionsServer
    from positions_mcp.tools.context import ToolContext

_KNOWN = "caller_is_known"
_TOO_MANY_STRANGERS = "Too many requests without a token that is known. Try again in a minute."
_ALL_UNDER_WAY = "This token has as many requests under way as it may. Wait for one to end, or close a client."
_TRY_AGAIN_S = 60


class Callers:
    """Two ASGI applications around the server's own: one before a token is looked at, and one after."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def outside(self, app: ASGIApp) -> ASGIApp:
        """Counts the requests that show no token; after too many in a minute, 429 and the end of the connection."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            refusing = False

            async def send_unless_too_many(message: Message) -> None:
                nonlocal refusing
                if message["type"] == "http.response.start" and not scope["state"].get(_KNOWN):
                    refusing = not self._connections.refused(_connection(scope), (scope.get("client") or ("", 0))[0])
                    if refusing:
                        await _refuse(send, _TOO_MANY_STRANGERS)
                if not refusing:
                    await send(message)

            await app(scope, receive, send_unless_too_many)

        return counted

    def inside(self, app: ASGIApp) -> ASGIApp:
        """Notes whose connection it is; 429 where all the connections that a caller may have are being answered."""

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][_KNOWN] = True
            if self._connections.belongs_to(_connection(scope), scope["user"].username):
                await app(scope, receive, send)
            else:
                await _refuse(send, _ALL_UNDER_WAY)

        return noted


def _connection(scope: Scope) -> Connected:
    connection: Connected = scope["state"][CONNECTION]
    return connection


async def _refuse(send: Send, words: str) -> None:
    retry = ("retry-after", str(_TRY_AGAIN_S))
    too_many, kind = HTTPStatus.TOO_MANY_REQUESTS, "text/plain; charset=utf-8"
    await answer(send, too_many, f"{words}\n".encode(), retry, ("connection", "close"), kind=kind)


DEFAULT_PORT = 8420
_DESCRIPTORS = 2_048
"""Enough for every connection that callers and the page may have, and for what answers them."""

_log = logging.getLogger(__name__)


def serve_http(settings: Settings, entrance: Entrance, *, port: int | None, record: Path | None = None) -> int:
    """Serve until the process is told to stop. Returns the exit code.

    Raises ConfigurationError where the port is taken, or the data directory cannot be used.
    """
    this_platform().allow_descriptors(_DESCRIPTORS)
    file = TokenFile(prepare_data_dir(settings))
    file.tokens()
    with (
        listening_socket(entrance.address, DEFAULT_PORT if port is None else port) as listener,
        open_venue(settings, record=record) as venue,
        replica_of(settings) as replica,
    ):
        serve(partial(_serve, settings, venue, file, entrance=entrance, listener=listener, replica=replica))
    return 0


async def _serve(
    settings: Settings, venue: Venue, file: TokenFile, *, entrance: Entrance, listener: socket.socket, replica: Replica
) -> None:
    from positions_mcp.request_states import RequestStates
    from positions_mcp.server import build_server

    store = lazy_store(settings, venue.exchange)
    clock = SharedClock(SystemClock(), store)
    # A file is this process's alone; one database may serve many of them.
    states = RequestStates(lambda: store.open().sealing_keys(clock.now())) if settings.store.url else None
    senders = _Senders()
    replica.drain.leave, replica.drain.settled = senders.leave, senders.settled

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        named = NAMED if entrance.public_url else None
        shares = settings.store.url is not None
        async with open_deps(settings, venue, store, command=named, shares_listings=shares) as deps:
            senders.add(deps.guard)
            yield deps

    server = build_server(
        parts,
        mode=settings.mode,
        accounts=settings.allowed_accounts,
        warm_up=warm_up,
        whose_token=None if entrance.public_url else whose_token(file),
        signs_in=entrance.public_url is not None,
        request_states=states,
    )

    def announce() -> None:
        if entrance.public_url:
            host, port = listener.getsockname()[:2]
            where = f"{entrance.public_url}, listening at {host} port {port}"
            _say(f"{settings.mode.shown} MCP server at {where}. Callers sign in at {settings.oauth.issuer}.")
            return
        _say(f"{settings.mode.shown} MCP server at {entrance.url(listener)}, on this machine only.")
        if not file.tokens():
            _say(f"Nobody has a token yet: `{Commands(settings)('token new NAME')}`")

    serve = partial(
        serve_over_http,
        server,
        listener,
        announce=announce,
        on_signal=senders.close,
        sessions_per_caller=settings.http.max_sessions_per_caller,
        entrance=entrance,
        replica=replica,
    )
    try:
        if entrance.public_url is None:
            await serve(names=partial(names_in, file))
            return
        from positions_mcp.cli.serving.sign_in import signing_in

        async with signing_in(settings, entrance.public_url, venue.real_time) as sign_in:
            await serve(sign_in=sign_in)
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
    replica: Replica,
    entrance: Entrance = ON_THIS_MACHINE,
    names: Callable[[], Collection[str]] | None = None,
    sign_in: SignIn | None = None,
    connections: Connections | None = None,
) -> None:
    """Serve until the process is told to stop. `on_signal` is called when nothing more is waited for.

    `names` are those with a token: once a second, the connections of others end, streams too. Callers who `sign_in`
    have streams that end with their tokens instead.
    """
    connections = connections or connections_for(behind_a_proxy=bool(entrance.proxies))
    callers = Callers(connections)
    app = server.http_app(
        entrance.addresses(listener.getsockname()[1]),
        sessions_per_caller=sessions_per_caller,
        around=lambda inner: callers.inside(replica.known(inner)),
        around_whole=replica.whole,
    )
    if sign_in is not None:
        app = sign_in.door(app)
        replica.watch.checks["sign-in"] = sign_in.look
    if entrance.certificate is not None:
        replica.watch.checks["certificate"] = entrance.certificate.look
    app = callers.outside(app)
    if entrance.proxies:
        app = Proxies(app, entrance.proxies)
    app = replica.outside(app)

    def each_second() -> None:
        if names is not None:
            connections.keep_callers(names())
        if sign_in is not None:
            sign_in.streams.sweep()

    http = Listening(app, connections, entrance.certificate, announce=announce, each_second=each_second)
    async with anyio.create_task_group() as tasks:

        def end() -> None:
            on_signal()
            # It would complain of every stream that a client still listens on.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            http.should_exit = True

        await tasks.start(replica.stopped_when_told, end)
        await http.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
