"""Servers for tests: over the paper exchange, or over a book that no exchange would give; and how to talk to them."""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult

from beginnings import begin_book, begin_store, store_in
from domain.books import POSITIONS
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.cli.assembly.lazy_store import LazyStore
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.records import Response
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.guard import Guard
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.ports import GatheringT, Ids, OnPage, OperationStore, OrderWriter
from positions_mcp.server import build_server
from positions_mcp.settings import load
from positions_mcp.store import DEFAULT_FILE
from positions_mcp.tools._definition import ToolDefinition
from positions_mcp.tools.catalogue import published_tool
from positions_mcp.tools.context import ToolContext
from tools.definitions import published

ERAS = ("legacy", "2026-07-28")
"""Both protocol eras, as a client asks for them."""
ACCOUNT = AccountId(19816)
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""


@dataclass(slots=True)
class StandingClock:
    """Tells the time it was set to."""

    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class CountingIds:
    """Makes UUIDs that count."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"


def held(symbol: str, quantity: str = "100", number: int = 0, **fields: Any) -> Position:
    """A position with the id that `number` gives it; fields that are not named are missing."""
    instrument = f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}"
    row = {"account_id": ACCOUNT, "instrument_id": instrument, "quantity": quantity, "symbol": symbol, **fields}
    return POSITIONS.validate_python(row)


@dataclass(slots=True)
class StubBroker:
    """Reads what a test put on it, and counts how often it was asked."""

    clock: StandingClock = field(default_factory=StandingClock)
    positions: Sequence[Position] = ()
    rows: Sequence[Instruction] = ()
    error: Exception | None = None
    consistent: bool = True
    unreadable: int = 0
    requests: int = 0

    async def read_book(
        self,
        account_id: AccountId,
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        on_page: OnPage | None = None,
    ) -> Book:
        self._ask()
        total = len(self.positions)
        if on_page and total > 1:
            await on_page(1, total)
            await on_page(total, total)
        return Book(
            account_id=account_id,
            positions=tuple(self.positions),
            as_of=self.clock.now(),
            consistent=self.consistent,
            unreadable=self.unreadable,
        )

    async def gather_positions(
        self, account_id: AccountId, begin: Callable[[], GatheringT], *, on_page: OnPage | None = None
    ) -> tuple[GatheringT, Reading]:
        book, gathering = await self.read_book(account_id, on_page=on_page), begin()
        gathering.add(book.positions)
        return gathering, book

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        self._ask()
        return Response(data=list(self.rows))

    async def read_orders(self, account_id: AccountId, **_: Any) -> tuple[Order, ...]:
        self._ask()
        return ()

    def _ask(self) -> None:
        self.requests += 1
        if self.error:
            raise self.error


def context_over(
    broker: StubBroker,
    *,
    accounts: Sequence[int] = (ACCOUNT,),
    mode: Mode = Mode.PAPER,
    store: LazyStore | None = None,
    ids: Callable[[], Ids] = CountingIds,
) -> ToolContext:
    """A context whose broker is `broker`, and a store of its own where none is given."""
    return ToolContext(
        mode=mode,
        accounts=tuple(map(AccountId, accounts)),
        positions=broker,
        instructions=broker,
        orders=broker,
        guard=guard_over(broker, accounts=accounts, mode=mode, store=store or own_store(), ids=ids()),
        clock=broker.clock,
        real_time=broker.clock,
        ids=ids(),
        calendar=NewYorkCalendar(),
        trading_enabled=True,
        contract="auto",
        venue="a broker",
    )


def own_store() -> LazyStore:
    """Made when it is first used."""
    place = Path(tempfile.gettempdir()) / f"positions-mcp-{uuid.uuid4()}" / "operations.sqlite"
    return LazyStore(lambda: store_in(place))


def guard_over(broker: StubBroker, *, accounts: Sequence[int], mode: Mode, store: LazyStore, ids: Ids) -> Guard:
    """A guard with nothing it could send to."""
    parts = Dependencies(
        mode=mode,
        policy=Policy(trading_enabled=True, accounts=frozenset(map(AccountId, accounts))),
        store=cast("OperationStore", store),
        positions=broker,
        orders=broker,
        order_writer=cast("OrderWriter", None),
        instructions=broker,
        clock=broker.clock,
        market_clock=broker.clock,
        calendar=NewYorkCalendar(),
        ids=ids,
    )
    return Guard(parts)


@dataclass(slots=True)
class Elsewhere:
    """What serves instead of this process: `--replicas` puts three others there."""

    over_broker: Callable[..., Any] | None = None
    on_paper: Callable[..., AbstractContextManager[Any]] | None = None
    floor: Callable[..., AbstractAsyncContextManager[Any]] | None = None


ELSEWHERE = Elsewhere()


def server_over(
    broker: StubBroker,
    *,
    accounts: Sequence[int] = (ACCOUNT,),
    mode: Mode = Mode.PAPER,
    only: ToolDefinition[Any] | None = None,
) -> MCPServer[ToolContext]:
    """A server whose broker is `broker`, with all tools or with one that a test has made."""
    if ELSEWHERE.over_broker is not None:
        server = ELSEWHERE.over_broker(broker, accounts=accounts, mode=mode, only=only)
        return cast("MCPServer[ToolContext]", server)

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        with closing(own_store()) as store:
            yield context_over(broker, accounts=accounts, mode=mode, store=store)

    ready = build_server(parts, mode=mode, accounts=tuple(map(AccountId, accounts)))
    if only is not None:
        offer(ready, only)
    return ready


def offer(server: MCPServer[ToolContext], tool: ToolDefinition) -> None:
    """Let it have this tool and no other."""
    server._tool_manager._tools = {tool.name: published_tool(published(tool), lambda: tool)}


@contextmanager
def paper_server(data_dir: Path, scenario: str, clock: StandingClock | None = None) -> Iterator[MCPServer[ToolContext]]:
    """The server as `serve` composes it, on the paper exchange, at a time that stands."""
    if ELSEWHERE.on_paper is not None:
        with ELSEWHERE.on_paper(data_dir, scenario, clock) as server:
            yield server
        return
    settings = load({"mode": "paper", "data_dir": data_dir, "paper": {"scenario": scenario}})
    clock = clock or StandingClock()
    begin_book(data_dir, scenario, clock)
    begin_store(data_dir / DEFAULT_FILE)
    with open_venue(settings, real_time=clock) as venue:
        yield build_server(lambda: open_deps(settings, venue), mode=settings.mode, accounts=settings.allowed_accounts)


async def call(
    server: MCPServer[ToolContext], tool: str, arguments: dict[str, Any] | None = None, *, era: str = ERAS[1]
) -> CallToolResult:
    """One call in a conversation of its own."""
    async with Client(server, mode=era) as client:
        return await client.call_tool(tool, arguments or {})


def text_of(result: CallToolResult) -> str:
    """The text of an answer that is no error."""
    assert not result.is_error, result.content
    return words_of(result)


def words_of(result: CallToolResult) -> str:
    """The text of any answer."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def data_of(result: CallToolResult) -> dict[str, Any]:
    """The structured content of an answer that is no error."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def error_of(result: CallToolResult) -> str:
    """The text of an answer that is an error, which carries no structured content."""
    assert result.is_error
    assert result.structured_content is None
    return words_of(result)


def refresh_wanted() -> bool:
    """Whether snapshots are to be written anew: `REFRESH_SNAPSHOTS=1 python -m pytest tests/tools`."""
    return os.environ.get("REFRESH_SNAPSHOTS") == "1"
