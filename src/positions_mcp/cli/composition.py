"""Putting the parts together: which client, clock and exchange a configuration means."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from positions_mcp.api import PositionsClient
from positions_mcp.cli.paper_transport import PaperTransport
from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.plans import Mode
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.ports import Clock
from positions_mcp.settings import Settings, live_access

if TYPE_CHECKING:
    import httpx

    from positions_mcp.guard.parts import Parts
    from positions_mcp.paper.exchange import PaperExchange
    from positions_mcp.ports import OperationStore
    from positions_mcp.store.operations import SqlOperationStore
    from positions_mcp.tools._deps import Deps

_PAPER_URL = "http://localhost"


@dataclass(frozen=True, slots=True)
class Venue:
    """Where positions are: a client, the clock that its market follows, and its name for people."""

    client: PositionsClient
    clock: Clock
    name: str


@contextmanager
def open_venue(settings: Settings, *, real_time: Clock | None = None) -> Iterator[Venue]:
    """The live API, or the paper exchange in this process with its own clock.

    Args:
        settings: which of them, and how it is spoken to.
        real_time: what the clock of either goes by; the machine's time if omitted.

    Raises:
        ConfigurationError: live without a usable key or address; in paper an unknown scenario, or a book that does not
            fit the accounts or the scenario.
    """
    time = real_time or SystemClock()
    if settings.mode is Mode.LIVE:
        access = live_access()
        client = PositionsClient(
            access.base_url,
            access.api_key.get_secret_value(),
            contract=settings.api.contract,
            write_timeout_s=settings.api.write_timeout_s,
            clock=time,
        )
        yield Venue(client, time, access.base_url)
        return
    exchange = _open_exchange(settings, time)
    try:
        client = PositionsClient(
            _PAPER_URL,
            exchange.keys[0],
            contract=settings.api.contract,
            write_timeout_s=settings.api.write_timeout_s,
            transport=cast("httpx.AsyncBaseTransport", PaperTransport(exchange)),
            clock=exchange.clock,
        )
        yield Venue(client, exchange.clock, "the embedded paper exchange")
    finally:
        exchange.close()


@asynccontextmanager
async def open_deps(settings: Settings, venue: Venue) -> AsyncIterator[Deps]:
    """What the tools need, over an open venue; the client's connections end with it."""
    from positions_mcp.tools._deps import Deps

    async with venue.client as client:
        yield Deps(
            mode=settings.mode,
            accounts=settings.allowed_accounts,
            positions=client,
            orders=client,
            instructions=client,
            clock=venue.clock,
            ids=RandomIds(),
            calendar=NewYorkCalendar(),
            trading_enabled=settings.trading_enabled,
            contract=settings.api.contract,
            venue=venue.name,
        )


@contextmanager
def open_operations(settings: Settings) -> Iterator[SqlOperationStore]:
    """The operation store that the configuration names. Blocking.

    Raises:
        ConfigurationError, StoreUnavailable: it cannot be opened at all.
    """
    from positions_mcp.store import DEFAULT_FILE, open_store

    url = settings.store.url
    store = open_store(url.get_secret_value() if url else prepare_data_dir(settings) / DEFAULT_FILE)
    try:
        yield store
    finally:
        store.close()


def guard_parts(settings: Settings, client: PositionsClient, market_clock: Clock, store: OperationStore) -> Parts:
    """What the guard is built of: the venue's client and clock, the store, the configured limits and real time."""
    from positions_mcp.guard.parts import Parts

    return Parts(
        mode=settings.mode,
        policy=settings.policy,
        store=store,
        positions=client,
        orders=client,
        order_writer=client,
        instructions=client,
        clock=SystemClock(),
        market_clock=market_clock,
        calendar=NewYorkCalendar(),
        ids=RandomIds(),
        write_timeout=timedelta(seconds=settings.api.write_timeout_s),
    )


def prepare_data_dir(settings: Settings) -> Path:
    """The data directory, made if it is not there, and closed to everybody else.

    Raises:
        ConfigurationError: it cannot be made or is no directory.
    """
    folder = settings.data_dir.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            if folder in (Path.home(), Path(folder.anchor)):
                raise ConfigurationError(f"data_dir = {folder} would be closed to others.", hint="Name a folder in it.")
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"data_dir = {folder} cannot be used: {error.strerror}.",
            hint="Set --data-dir or POSITIONS_MCP_DATA_DIR to a directory of your own.",
        ) from None
    return folder


def warm_up() -> None:
    """Import and fill what the first answers need; run in a thread while a client introduces itself."""
    import httpx

    NewYorkCalendar().state_at(SystemClock().now())
    httpx.AsyncClient(trust_env=False)


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
        raise ConfigurationError(
            f"The paper exchange cannot start: {error}.",
            hint="The scenario is set by --scenario, POSITIONS_MCP_PAPER__SCENARIO or [paper] scenario; accounts by "
            "--account, POSITIONS_MCP_ACCOUNTS or accounts.",
        ) from None
