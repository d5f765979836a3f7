"""A floor to trade on as `trading` has it, but with three replicas over PostgreSQL, and clients that alternate."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import httpx2
import psycopg
import pytest
from anyio.from_thread import BlockingPortal
from benchmarks.databases import drop_database, new_database
from mcp import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, ErrorData, Implementation

from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import Venue
from positions_mcp.cli.assembly.paper_transport import PaperTransport
from positions_mcp.cli.serving.token_file import FILE_NAME, TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange
from positions_mcp.settings import Settings, load
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.tools._definition import ToolDefinition
from positions_mcp.tools._forms import TOO_QUICK_S
from replicas import served
from replicas.asked import OfABroker, asked_by_others
from replicas.rotation import Rotation
from replicas.served import ClockInAFile, Said
from tools.serving import ERAS, StandingClock, StubBroker, data_of
from trading import Floor, Person

REPLICAS = 3
_PATIENCE_S = 60
_THINKING_S = TOO_QUICK_S + 0.01
"""Nobody answers at once; any longer, and more would show in what is said of times."""


class SharedClock(StandingClock):
    """The clock of a test, which its children go by too."""

    def __init__(self, file: Path, at: datetime) -> None:
        self._shared = ClockInAFile(file)
        super().__init__(at)

    @property
    def at(self) -> datetime:
        return self._shared.now()

    @at.setter
    def at(self, at: datetime) -> None:
        self._shared.set(at)


class Children:
    """Processes forked from one that has imported everything."""

    def __init__(self, server: str) -> None:
        self.server = server
        """The URL of the PostgreSQL in which each floor has a database."""
        self._empty = new_database(server)
        SqlOperationStore(self._empty).close()
        self.made: dict[Path, str] = {}
        """The stores there are, by folder."""
        self.asked = False
        """Whether a client has come, since somebody said that none had."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["replicas.forked"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # or it would import nothing beforehand, silently
            forkserver.ensure_running()

    @contextmanager
    def running(self, what: Callable[..., None], *arguments: Any) -> Iterator[Callable[[], int]]:
        """Begin one, and ask for its port when it is needed. Killed at the end."""
        told, tell = self._context.Pipe(duplex=False)
        process = self._context.Process(target=what, args=(*arguments, tell), daemon=True)
        process.start()
        tell.close()
        try:
            yield partial(_port, told)
        finally:
            process.kill()
            process.join()
            told.close()

    def database(self, folder: Path) -> str:
        """The URL of the store that belongs to a folder, however often servers are started there."""
        if folder not in self.made:
            self.made[folder] = new_database(self.server, like=self._empty)
        return self.made[folder]

    def forget(self, kept: Collection[Path]) -> None:
        """End every session of the other stores, and drop them."""
        for folder in self.made.keys() - kept:
            drop_database(self.server, self.made.pop(folder))


def _port(told: Connection) -> int:
    assert told.poll(_PATIENCE_S), "it does not listen"
    return int(told.recv())


class Firm:
    """Three replicas that run, and callers with tokens."""

    def __init__(self, children: Children, folders: Sequence[Path], ports: Sequence[int]) -> None:
        self._children = children
        self._folders = folders
        self._ports = ports
        self._tokens: dict[str, str] = {}
        self._turns = itertools.count()

    @asynccontextmanager
    async def streams(self, name: str = "a client") -> AsyncIterator[TransportStreams]:
        """A way to them for one client; a session of the older era stays where it was opened."""
        self._children.asked = True
        rotation = Rotation(lambda: self._ports, next(self._turns), affinity=True)
        headers = {"Authorization": f"Bearer {self._token(name.replace(' ', '-'))}"}
        async with (
            httpx2.AsyncClient(transport=rotation, headers=headers, timeout=_PATIENCE_S) as http,
            streamable_http_client("http://127.0.0.1/mcp", http_client=http) as streams,
        ):
            yield streams

    def _token(self, name: str) -> str:
        if name not in self._tokens:
            first, *others = self._folders
            self._tokens[name] = TokenFile(first).issue(name, SystemClock().now())
            for other in others:
                shutil.copy(first / FILE_NAME, other / FILE_NAME)
        return self._tokens[name]


class Balanced:
    """What `mcp.Client` takes for a server: each client that enters it has a way of its own."""

    def __init__(self, firm: Firm) -> None:
        self._firm = firm
        self._open: defaultdict[int, list[AsyncExitStack]] = defaultdict(list)
        """By the task that entered."""

    async def __aenter__(self) -> TransportStreams:
        stack = AsyncExitStack()
        streams = await stack.enter_async_context(self._firm.streams())
        self._open[anyio.get_current_task().id].append(stack)
        return streams

    async def __aexit__(self, *raised: object) -> bool | None:
        return await self._open[anyio.get_current_task().id].pop().__aexit__(*raised)


class FloorOverReplicas(Floor):
    """The same floor, from outside: what reaches into the server is not there."""

    def __init__(self, firm: Firm, exchange: PaperExchange, clock: SharedClock, settings: Settings) -> None:
        self._firm = firm
        self.exchange, self.clock, self.settings = exchange, clock, settings
        self.at: dict[str, Callable[[], Awaitable[object]]] = {}
        self._thinking_s = _THINKING_S
        transport = cast("httpx.AsyncBaseTransport", PaperTransport(exchange))
        connect = partial(PositionsClient, "http://localhost", DEFAULT_KEY, transport=transport, clock=exchange.clock)
        self.venue = Venue(connect, exchange.clock, "the paper exchange of a test", clock)

    @asynccontextmanager
    async def client(
        self, era: str = ERAS[1], person: Person | None = None, name: str = "a client"
    ) -> AsyncIterator[Client]:
        """A caller whose every request goes to the next replica, as far as its protocol lets it."""
        information = Implementation(name=name, version="1")
        way, asks = self._firm.streams(name), person and self._thinking(person)
        async with Client(way, mode=era, elicitation_callback=asks, client_info=information) as client:
            yield client

    def alter(self, statement: str) -> None:
        """Change the store behind the program's back."""
        assert self.settings.store.url
        with psycopg.connect(self.settings.store.url.get_secret_value(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _thinking(self, person: Person) -> ElicitationFnT:
        async def answer(context: Any, asked: Any) -> ElicitResult | ErrorData:
            self.later(seconds=self._thinking_s)
            return await person(context, asked)

        return answer

    def answered_after(self, seconds: float) -> None:
        self._thinking_s = seconds

    async def sends(self, operation_id: str) -> None:
        """One of the servers does, without a call."""
        state = "APPROVED"
        while state in ("APPROVED", "SENDING"):
            state = data_of(await self.call("get_operation", {"operation_id": operation_id}))["state"]


@dataclass(frozen=True)
class StepsOf:
    """What servers in other processes ask between two steps of sending."""

    floor: Floor
    portal: BlockingPortal

    async def checkpoint(self, name: str, operation_id: str) -> None:
        """Let happen what the test wants to happen there, in the test's own loop."""
        self.portal.call(self.floor.checkpoint, name, operation_id)


@contextmanager
def firm_of(
    children: Children, folder: Path, serve: Callable[..., None], said: Callable[[str, Path], Any]
) -> Iterator[Firm]:
    """Three replicas over a new database, each told what `said` says of it and of the folder that is its own."""
    folders = [folder / f"replica-{number}" for number in range(REPLICAS)]
    store = children.database(folder)
    with ExitStack() as stack:
        for each in folders:
            each.mkdir(mode=0o700, exist_ok=True)
            (each / FILE_NAME).unlink(missing_ok=True)
        asked = [stack.enter_context(children.running(serve, said(store, each))) for each in folders]
        yield Firm(children, folders, [port() for port in asked])


@contextmanager
def replicas_over_paper(children: Children, folder: Path, scenario: str, told: Said) -> Iterator[tuple[Firm, str]]:
    """They, told so, over an exchange that is served to them; and the URL of the store."""
    book = folder / "paper"

    def said(store: str, own: Path) -> Said:
        settings = {**told.settings, "data_dir": own, "store": {"url": store}}
        return replace(told, settings=settings, exchange_url=url)

    with children.running(served.exchange, book, scenario, told.clock) as port:
        url = f"http://127.0.0.1:{port()}"
        with firm_of(children, folder, served.replica, said) as firm:
            yield firm, children.database(folder)


@asynccontextmanager
async def floor_over_replicas(
    children: Children,
    data_dir: Path,
    *,
    scenario: str = "demo",
    at: datetime | None = None,
    mode: Mode = Mode.PAPER,
    **said: Any,
) -> AsyncIterator[FloorOverReplicas]:
    """As `trading.trading_floor`."""
    file = data_dir / "clock"
    clock = SharedClock(file, at or StandingClock().at)
    settings = {
        "mode": mode,
        "accounts": [DEFAULT_ACCOUNT],
        "desk": {"enabled": False},
        "approval": {"wait_s": 0},
        **said,
    }
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        steps = Path(folder, "steps")
        told = Said(settings, file, "the paper exchange of a test", steps)
        with replicas_over_paper(children, data_dir, scenario, told) as (firm, store):
            exchange = PaperExchange.open(data_dir / "paper", clock=clock)
            here = load({**settings, "data_dir": data_dir, "store": {"url": store}})
            floor = FloorOverReplicas(firm, exchange, clock, here)
            try:
                async with BlockingPortal() as portal:
                    with asked_by_others(StepsOf(floor, portal), steps):
                        yield floor
            finally:
                exchange.close()


@contextmanager
def paper_over_replicas(
    children: Children, data_dir: Path, scenario: str, clock: StandingClock | None = None
) -> Iterator[Balanced]:
    """As `tools.serving.paper_server`."""
    file = data_dir / "clock"
    ClockInAFile(file).set((clock or StandingClock()).at)
    told = Said({"mode": Mode.PAPER}, file, "the embedded paper exchange")
    with replicas_over_paper(children, data_dir, scenario, told) as (firm, _):
        yield Balanced(firm)


@contextmanager
def broker_over_replicas(
    children: Children,
    folder: Path,
    broker: StubBroker,
    *,
    accounts: Sequence[int],
    mode: Mode,
    only: ToolDefinition[Any] | None,
) -> Iterator[Balanced]:
    """As `tools.serving.server_over`: the replicas ask the broker of the test, which stays where it is."""
    file = folder / "clock"
    broker.clock = SharedClock(file, broker.clock.at)
    with asked_by_others(broker, address := folder / "asked"):

        def said(store: str, own: Path) -> OfABroker:
            return OfABroker(str(address), tuple(accounts), mode, own, store, file, only)

        with firm_of(children, folder, served.replica_over_broker, said) as firm:
            yield Balanced(firm)
