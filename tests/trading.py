"""A floor to trade on: the server as `serve` composes it, over the real client, on the real paper exchange.

Effects are counted on the exchange's side. People answer questions as a test tells them to.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import httpx
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, ElicitResult, ErrorData, Implementation

from beginnings import begin_book, begin_store
from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import Venue, guard_dependencies, open_deps
from positions_mcp.cli.assembly.paper_transport import PaperTransport
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.supervision import JournalEntry
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange
from positions_mcp.paper.holdings import Holding
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.symbols import instrument_id_of
from positions_mcp.server import build_server
from positions_mcp.settings import Settings, load
from positions_mcp.signing.keys import ScryptCost
from positions_mcp.store import DEFAULT_FILE
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.tools._forms import Forms
from positions_mcp.tools.context import ToolContext
from tools.serving import ELSEWHERE, StandingClock

ERAS = ("legacy", "2026-07-28")
SATURDAY = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"
QUICK = ScryptCost(n=2**4)
"""scrypt that a test does not wait for."""
HOLDINGS: Mapping[str, int] = {"AMZN": 120, "KO": 400, "XOM": 220}
"""Three long positions of the demo scenario that nothing hangs on."""


@dataclass
class Person:
    """Somebody in front of a client, who answers every question alike and keeps them."""

    action: Literal["accept", "decline", "cancel"] = "accept"
    content: Mapping[str, Any] | None = field(default_factory=lambda: {"approve": True})
    fails: str = ""
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens while the person thinks."""
    questions: list[str] = field(default_factory=list)
    forms: list[Mapping[str, Any]] = field(default_factory=list)

    async def __call__(self, _: object, asked: Any) -> ElicitResult | ErrorData:
        self.questions.append(asked.message)
        self.forms.append(asked.requested_schema)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.fails:
            return ErrorData(code=-32603, message=self.fails)
        return ElicitResult(action=self.action, content=cast("Any", self.content))


def yes() -> Person:
    return Person()


def no() -> Person:
    return Person(action="decline", content=None)


@dataclass
class Floor:
    """Everything about one server and its exchange."""

    server: MCPServer[ToolContext]
    deps: ToolContext
    exchange: PaperExchange
    clock: StandingClock
    settings: Settings
    venue: Venue
    at: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    """What happens when the executor comes to a step: `claimed`, `read again`, `sending journalled`, `answered`, …"""

    async def checkpoint(self, name: str, _operation_id: str) -> None:
        """Called by the executor between any two steps; each thing happens once."""
        if happening := self.at.pop(name, None):
            await happening()

    @asynccontextmanager
    async def client(
        self, era: str = ERAS[1], person: Person | None = None, name: str = "a client"
    ) -> AsyncIterator[Client]:
        """A client; without a person it cannot show a form."""
        information = Implementation(name=name, version="1")
        async with Client(self.server, mode=era, elicitation_callback=person, client_info=information) as client:
            yield client

    async def call(
        self, tool: str, arguments: dict[str, Any], *, era: str = ERAS[1], person: Person | None = None, **who: str
    ) -> CallToolResult:
        """One call in a conversation of its own."""
        async with self.client(era, person, **who) as client:
            return await client.call_tool(tool, arguments)

    @property
    def effects(self) -> dict[str, int]:
        """Requests that changed the exchange's book, by operation."""
        return self.exchange.effect_counts()

    def held(self, symbol: str) -> Decimal:
        """What the exchange itself says is held."""
        with self.exchange.reading() as moment:
            held = {holding.symbol: holding.quantity for holding in moment.ledger.holdings_of(DEFAULT_ACCOUNT)}
            return held.get(symbol, Decimal(0))

    def hold(self, symbol: str, quantity: int) -> None:
        """Change what is held behind everybody's back."""
        with self.exchange.changing() as moment:
            moment.ledger.put_holding(self._holding(moment.ledger, symbol, quantity))

    def list_instrument(self, symbol: str) -> str:
        """Hold ten of a new instrument of that very symbol. Returns its UUID."""
        with self.exchange.changing() as moment:
            other = moment.ledger.instruments["KO"]
            listed = replace(other, symbol=symbol, instrument_id=instrument_id_of(symbol))
            moment.ledger.put_instrument(listed)
            moment.ledger.put_holding(self._holding(moment.ledger, symbol, 10))
            return listed.instrument_id

    @staticmethod
    def _holding(ledger: Ledger, symbol: str, quantity: int) -> Holding:
        held = ledger.holdings_of(DEFAULT_ACCOUNT)
        like = next((holding for holding in held if holding.symbol == symbol), held[0])
        return replace(like, symbol=symbol, quantity=Decimal(quantity))

    def later(self, **by: float) -> None:
        """Time passes, for the exchange and for the program."""
        self.clock.advance(timedelta(**by))

    def answered_after(self, seconds: float) -> None:
        """Who is shown a form from now on takes so long to answer it."""
        self.deps.forms.clock = itertools.count(self.deps.forms.clock(), seconds).__next__

    def sends_nothing_by_itself(self) -> None:
        """What is approved waits for a call from now on."""
        self.deps.guard.leave()

    async def sends(self, operation_id: str) -> None:
        """Another call sends what the desk approved. The server's own dispatcher may be first: then it waits for it."""
        async with self.desk() as desk:
            operation = desk.store.operation(operation_id)
        assert operation is not None
        await self.deps.guard.wait_and_send(operation, caller=operation.plan.caller, wait=Wait(60))

    def alter(self, statement: str) -> None:
        """Change the store behind the program's back."""
        with closing(sqlite3.connect(self.settings.data_dir / DEFAULT_FILE)) as connection, connection:
            connection.execute(statement)

    @asynccontextmanager
    async def desk(self, *, behind: timedelta = timedelta()) -> AsyncIterator[Desk]:
        """The supervisor's own process: another connection to the same store, by a clock that is so far behind."""
        clock = StandingClock(self.clock.now() - behind) if behind else self.clock
        async with self.venue.connect() as client:
            with open_operations(self.settings) as store:
                parts = guard_dependencies(self.settings, client, clock, store, real_time=clock)
                yield Desk(Supervisor(parts, hardness=QUICK), store)

    async def journal(self) -> tuple[JournalEntry, ...]:
        """Everything that was written down."""
        async with self.desk() as desk:
            return desk.store.journal()


@dataclass
class Desk:
    """A supervisor and the store behind."""

    supervisor: Supervisor
    store: SqlOperationStore

    async def set_up(self) -> None:
        await self.supervisor.set_up_approver(PASSPHRASE)

    async def approve(self, operation_id: str) -> None:
        await self.supervisor.approve(operation_id, PASSPHRASE)


@asynccontextmanager
async def trading_floor(
    data_dir: Path, *, scenario: str = "demo", at: datetime | None = None, mode: Mode = Mode.PAPER, **said: Any
) -> AsyncIterator[Floor]:
    """A floor in `data_dir`; `said` are settings. A live one talks to the same exchange as to a real account."""
    if ELSEWHERE.floor is not None:
        async with ELSEWHERE.floor(data_dir, scenario=scenario, at=at, mode=mode, **said) as floor:
            yield floor
        return
    clock = StandingClock(at) if at else StandingClock()
    begin_book(data_dir, scenario, clock)
    begin_store(data_dir / DEFAULT_FILE)
    exchange = PaperExchange.open(data_dir, scenario=scenario, clock=clock)
    accounts = [DEFAULT_ACCOUNT]
    settings = load(
        {
            "mode": mode,
            "accounts": accounts,
            "data_dir": data_dir,
            "approval": {"wait_s": 0},
            "desk": {"enabled": False},
            **said,
        }
    )
    transport = cast("httpx.AsyncBaseTransport", PaperTransport(exchange))
    connect = partial(PositionsClient, "http://localhost", DEFAULT_KEY, transport=transport, clock=exchange.clock)
    venue = Venue(connect, exchange.clock, "the paper exchange of a test", clock)
    try:
        async with open_deps(settings, venue) as deps:
            seconds = itertools.count()
            forms = Forms(clock=lambda: next(seconds))  # nobody answers at once
            quick = replace(deps, heartbeat_s=0.01, updates_every_s=0.01, forms=forms)
            server = build_server(lambda: nullcontext(quick), mode=mode, accounts=[AccountId(DEFAULT_ACCOUNT)])
            floor = Floor(server, quick, exchange, clock, settings, venue)
            executor = deps.guard._executor
            executor._deps = replace(executor._deps, checkpoint=floor.checkpoint)
            yield floor
    finally:
        exchange.close()
