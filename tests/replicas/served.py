"""What the children run: a server as `serve --transport http` composes it, or the paper exchange, by one clock.

They are forked from a process that has imported all of it, so that a test may have three of its own.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio

from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import Venue, open_deps
from positions_mcp.cli.assembly.lazy_store import LazyStore
from positions_mcp.cli.assembly.remote_clock import RemoteClock
from positions_mcp.cli.assembly.stores import lazy_store
from positions_mcp.cli.serving import event_loop
from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, listening_socket
from positions_mcp.cli.serving.first_answer import warm_up
from positions_mcp.cli.serving.over_http import names_in, serve_over_http, whose_token
from positions_mcp.cli.serving.replica import replica_of
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import RandomIds
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange
from positions_mcp.paper.serve import serve
from positions_mcp.ports.beside import ListingStore
from positions_mcp.request_states import RequestStates
from positions_mcp.server import build_server
from positions_mcp.settings import Settings, load
from positions_mcp.store import open_store
from positions_mcp.tools._definition import ToolDefinition
from positions_mcp.tools._forms import Forms
from positions_mcp.tools.context import ToolContext
from positions_mcp.tools.lazy_context import OpenContext
from replicas.asked import Asked, OfABroker
from tools.serving import StandingClock, StubBroker, context_over, offer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = struct.Struct("q")


class ClockInAFile:
    """A clock that stands until somebody sets it, for every process that has the file open."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_MICROSECONDS.size))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _MICROSECONDS.size)

    def now(self) -> datetime:
        """The instant that was set last."""
        return _EPOCH + timedelta(microseconds=_MICROSECONDS.unpack_from(self._memory)[0])

    def set(self, at: datetime) -> None:
        """For everybody at once."""
        _MICROSECONDS.pack_into(self._memory, 0, (at - _EPOCH) // timedelta(microseconds=1))


@dataclass(frozen=True)
class Said:
    """What a replica is told."""

    settings: dict[str, Any]
    clock: Path
    venue: str
    """What it calls the exchange."""
    steps: Path | None = None
    """Where it asks between two steps of sending, before it goes on."""
    exchange_url: str = ""


def exchange(book: Path, scenario: str, clock: Path, tell: Connection) -> None:
    """The paper exchange, until it is ended. Tells its port."""
    opened = PaperExchange.open(book, scenario=scenario, clock=ClockInAFile(clock))
    serve(opened, 0, tell.send)


def replica(said: Said, tell: Connection) -> None:
    """One server, until it is ended. Tells its port."""
    settings, clock = load(said.settings), ClockInAFile(said.clock)
    market = RemoteClock(said.exchange_url, DEFAULT_KEY, clock)
    connect = partial(PositionsClient, said.exchange_url, DEFAULT_KEY, clock=market, plain_http=True)
    venue = Venue(connect, market, said.venue, clock, market.follow)
    store = lazy_store(settings, venue.exchange)

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        async with open_deps(settings, venue, store, shares_listings=True) as deps:
            yield as_tests_want_it(deps, clock, said.steps)

    serve_over(parts, settings, store, clock, tell)


def replica_over_broker(said: OfABroker, tell: Connection) -> None:
    """One server whose broker is a test's."""
    settings = load({"mode": Mode.PAPER, "accounts": said.accounts, "data_dir": said.data_dir})
    store, clock = LazyStore(lambda: open_store(said.store_url)), ClockInAFile(said.clock)
    broker = cast("StubBroker", Asked(said.address))
    broker.clock = cast("StandingClock", clock)

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        # Three that count would each begin with the same one.
        context = context_over(broker, accounts=said.accounts, mode=said.mode, store=store, ids=RandomIds)
        yield replace(context, listing_store=cast("ListingStore", store))

    serve_over(parts, settings, store, clock, tell, only=said.only)


def as_tests_want_it(deps: ToolContext, clock: ClockInAFile, steps: Path | None) -> ToolContext:
    """Nobody waits for a heartbeat, and forms are timed by the clock that a test sets."""
    if steps is not None:
        executor = deps.guard._executor
        executor._deps = replace(executor._deps, checkpoint=Asked(str(steps)).checkpoint)
    forms = Forms(clock=lambda: clock.now().timestamp())
    return replace(deps, heartbeat_s=0.01, updates_every_s=0.01, forms=forms)


def serve_over(
    parts: OpenContext,
    settings: Settings,
    store: LazyStore,
    clock: ClockInAFile,
    tell: Connection,
    *,
    only: ToolDefinition[Any] | None = None,
) -> None:
    """As the command composes it, over these parts."""
    file = TokenFile(settings.data_dir)
    server = build_server(
        parts,
        mode=settings.mode,
        accounts=settings.allowed_accounts,
        whose_token=whose_token(file),
        request_states=RequestStates(lambda: store.open().sealing_keys(clock.now())),
    )
    if only is not None:
        offer(server, only)
    with listening_socket(ON_THIS_MACHINE.address, 0) as listener, replica_of(settings) as around:
        serving = partial(
            serve_over_http,
            server,
            listener,
            announce=lambda: tell.send(listener.getsockname()[1]),
            on_signal=lambda: None,
            sessions_per_caller=settings.http.max_sessions_per_caller,
            replica=around,
            names=partial(names_in, file),
        )
        event_loop.serve(serving)


def beforehand() -> None:
    """Import and fill, in the process that the children are forked from, whatever they need."""
    warm_up()
    build_server(_nothing, mode=Mode.PAPER, accounts=[AccountId(DEFAULT_ACCOUNT)])
    anyio.run(anyio.sleep, 0)


@asynccontextmanager
async def _nothing() -> AsyncIterator[ToolContext]:
    raise AssertionError("it is never entered")
    yield
