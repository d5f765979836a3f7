"""Putting the parts together: which client, clock and exchange a configuration means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from positions_mcp.cli.assembly.lazy_store import LazyStore, SharedClock
from positions_mcp.cli.assembly.paper_transport import paper_transport
from positions_mcp.cli.assembly.stores import lazy_store, prepare_data_dir
from positions_mcp.cli.commands import Commands
from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.in_flight import tasks_beside
from positions_mcp.settings import Settings, live_access

if TYPE_CHECKING:
    from positions_mcp.api import PositionsClient
    from positions_mcp.api.recording import Recording
    from positions_mcp.desk.service import Desk
    from positions_mcp.guard.dependencies import Dependencies
    from positions_mcp.guard.guard import Guard
    from positions_mcp.paper.exchange import PaperExchange
    from positions_mcp.ports import Clock, Neighbours, OperationStore
    from positions_mcp.ports.beside import ListingStore
    from positions_mcp.store.operations import SqlOperationStore
    from positions_mcp.tools.context import ToolContext

_PAPER_URL = "http://localhost"

Command = Callable[[str], str]


async def _goes_by_itself() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Venue:
    """Where positions are: how to reach it, the clock that its market follows, and its name for people."""

    connect: Callable[[], PositionsClient]
    """Makes a client, to be closed by who asked for it."""
    clock: Clock
    name: str
    real_time: Clock = field(default_factory=SystemClock)
    """What expiry and leases go by; the market's clock may be set to another day."""
    follow: Callable[[], Awaitable[str]] = _goes_by_itself
    """Reads the market's clock, if it is elsewhere; says by what the time goes where it cannot be read."""
    exchange: Callable[[], str] = str
    """What tells a paper exchange from every other one; empty where nothing does."""


@contextmanager
def open_venue(settings: Settings, *, real_time: Clock | None = None, record: Path | None = None) -> Iterator[Venue]:
    """The live API, or the paper exchange in this process with its own clock.

    `record` is a file that is not there yet, for what is asked and answered; of live, only what is read. Raises
    ConfigurationError: live without a usable key or address; in paper an unknown scenario, or a book that does not fit
    it.
    """
    time = real_time or SystemClock()
    with ExitStack() as stack:
        client = partial(
            _client,
            contract=settings.api.contract,
            write_timeout_s=settings.api.write_timeout_s,
            max_requests=settings.api.max_requests,
            recording=None if record is None else stack.enter_context(closing(_recording(record, settings, time))),
        )
        if settings.mode is Mode.LIVE:
            access = live_access(settings.api.hosts)
            key = access.api_key.get_secret_value()
            connect = partial(client, access.base_url, key, clock=time)
            connect()  # what is wrong with the address or the key is said now, not to the first caller
            yield Venue(connect, time, access.base_url, time)
        elif settings.paper.url is not None:
            from positions_mcp.cli.assembly.remote_clock import RemoteClock

            url, key = settings.paper.url, settings.paper.key.get_secret_value()
            name = f"the paper exchange at {url}"
            clock = stack.enter_context(closing(RemoteClock(url, key, time)))
            connect = partial(client, url, key, clock=clock, plain_http=True, name=name)
            connect()
            yield Venue(connect, clock, name, time, clock.follow, clock.exchange)
        else:
            exchange = stack.enter_context(closing(_open_exchange(settings, time)))
            name, transport = "the embedded paper exchange", paper_transport(exchange)
            yield Venue(
                partial(client, _PAPER_URL, exchange.keys[0], transport=transport, clock=exchange.clock, name=name),
                exchange.clock,
                name,
                time,
                exchange=lambda: exchange.identity,
            )


def _recording(file: Path, settings: Settings, clock: Clock) -> Recording:
    from positions_mcp.api.recording import Recording

    return Recording(file, clock, reads_only=settings.mode is Mode.LIVE)


def _client(url: str, key: str, **said: Any) -> PositionsClient:
    from positions_mcp.api import PositionsClient

    return PositionsClient(url, key, **said)


@asynccontextmanager
async def open_deps(
    settings: Settings,
    venue: Venue,
    store: LazyStore | None = None,
    *,
    command: Command | None = None,
    shares_listings: bool = False,
) -> AsyncIterator[ToolContext]:
    """What the tools need, over an open venue, with connections of its own that end with it; so does the store.

    Where it `shares_listings`, any server of the store goes on with them. `command` words a command for callers who
    must not read which accounts and folders the configuration has.
    """
    from positions_mcp.market_calendar import NewYorkCalendar
    from positions_mcp.tools._shared_reads import SharedPositions, SharedReader, SharedReads, Times, UnsharedReader
    from positions_mcp.tools.context import ToolContext

    async with venue.connect() as client, SharedReads(Times(venue.clock)) as shared:
        reader = cast("PositionsClient", SharedReader(client, shared))
        async with open_guard(
            settings, venue, cast("PositionsClient", UnsharedReader(client, shared)), store, command
        ) as guard:
            yield ToolContext(
                mode=settings.mode,
                accounts=settings.allowed_accounts,
                positions=SharedPositions(client, shared),
                instructions=reader,
                neighbours=_neighbours(reader),
                orders=reader,
                guard=guard,
                approval_wait_s=settings.approval.wait_s,
                clock=venue.clock,
                follow_clock=venue.follow,
                real_time=guard.clock,
                ids=RandomIds(),
                calendar=NewYorkCalendar(),
                trading_enabled=settings.trading_enabled,
                contract=settings.api.contract,
                venue=venue.name,
                listing_store=cast("ListingStore", store) if shares_listings else None,
            )


@asynccontextmanager
async def open_guard(
    settings: Settings,
    venue: Venue,
    client: PositionsClient,
    store: LazyStore | None = None,
    command: Command | None = None,
) -> AsyncIterator[Guard]:
    """The guard, ready to send. Its store is opened when it is first needed: a server starts and reads without it.

    At the end a request in flight finishes and is journalled, and the rest of its batch is not sent.
    """
    from positions_mcp.cli.serving.desk_host import DeskHost, desk_of
    from positions_mcp.guard.guard import Guard

    await venue.follow()
    store = store or lazy_store(settings, venue.exchange)
    desk = desk_of(settings)
    deps = guard_dependencies(settings, client, venue.clock, store, real_time=venue.real_time)
    deps = replace(deps, desk=desk)
    try:
        async with Guard(replace(deps, command=command or deps.command)) as guard, tasks_beside() as tasks:
            if isinstance(desk, DeskHost):
                desk.attach(deps, tasks)
            if settings.trading_enabled:  # a server that only reads opens no store for it
                tasks.start_soon(guard.send_what_is_approved)
            yield guard
    finally:
        store.close()


@asynccontextmanager
async def open_desk(settings: Settings, venue: Venue, *, command: Command | None = None) -> AsyncIterator[Desk]:
    """The supervisor's page over the store that the configuration names, and the account behind it.

    `command` is as for `open_deps`.
    """
    from positions_mcp.desk.service import Desk

    await venue.follow()
    store = lazy_store(settings, venue.exchange)
    async with venue.connect() as client:
        deps = guard_dependencies(settings, client, venue.clock, store, real_time=venue.real_time)
        try:
            yield Desk(replace(deps, command=command or deps.command))
        finally:
            store.close()


def guard_dependencies(
    settings: Settings,
    client: PositionsClient,
    market_clock: Clock,
    store: LazyStore | SqlOperationStore,
    *,
    real_time: Clock | None = None,
) -> Dependencies:
    """What the guard is built of: the venue's client and clock, the store, the configured limits and real time.

    Machines that share a store go by its clock: what a test puts in place of a machine's own is left as it is.
    """
    from positions_mcp.guard.dependencies import Dependencies
    from positions_mcp.market_calendar import NewYorkCalendar

    clock = real_time or SystemClock()
    if settings.store.url is not None and isinstance(clock, SystemClock):
        clock, machine = SharedClock(clock, store), clock
        market_clock = clock if market_clock is machine else market_clock
    return Dependencies(
        mode=settings.mode,
        policy=settings.policy,
        store=cast("OperationStore", store),
        positions=client,
        orders=client,
        order_writer=client,
        order_canceller=client,
        instructions=client,
        instruction_writer=client,
        neighbours=_neighbours(client),
        clock=clock,
        market_clock=market_clock,
        calendar=NewYorkCalendar(),
        ids=RandomIds(),
        write_timeout=timedelta(seconds=settings.api.write_timeout_s),
        command=Commands(settings),
    )


def _neighbours(client: PositionsClient) -> Neighbours:
    from positions_mcp.ports import Neighbours

    return Neighbours(contracts=client, market_data=client, balances=client, events=client)


def _open_exchange(settings: Settings, real_time: Clock) -> PaperExchange:
    from positions_mcp.paper.errors import PaperError
    from positions_mcp.paper.exchange import PaperExchange

    try:
        return PaperExchange.open(
            prepare_data_dir(settings),
            scenario=settings.paper.scenario,
            contract=settings.paper.contract,
            accounts=settings.allowed_accounts,
            clock=real_time,
        )
    except PaperError as error:
        hint = (
            "The scenario is set by --scenario, POSITIONS_MCP_PAPER__SCENARIO or [paper] scenario; accounts by "
            "--account, POSITIONS_MCP_ACCOUNTS or accounts."
            if error.__cause__ is None
            else "Free space or restore access to it, or give another --data-dir."
        )
        raise ConfigurationError(f"The paper exchange cannot start: {error}.", hint=hint) from None
