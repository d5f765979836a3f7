"""Time that a test moves: plans made earlier, and a desk that a test sets forward together with the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
from playwright.sync_api import Page

from e2e.installation import Installation
from positions_mcp.cli.assembly.composition import open_desk, open_venue
from positions_mcp.cli.serving.desk_host import desk_origins
from positions_mcp.cli.serving.listening import desk_sockets, serve_page
from positions_mcp.desk.app import desk_app


@dataclass(slots=True)
class ShiftedClock:
    """Real time, and as much as a test says."""

    by: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def goes_on(self, page: Page, **by: float) -> None:
        """Time passes, for the desk and for a browser whose clock is installed."""
        self.by += timedelta(**by)
        page.clock.fast_forward(int(timedelta(**by).total_seconds() * 1000))


@contextmanager
def desk_at(installation: Installation, clock: ShiftedClock) -> Iterator[str]:
    """The desk as `positions-mcp desk` composes it, in this process, by a clock of the test's."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        with open_venue(installation.settings, real_time=clock) as venue, desk_sockets(0) as (sockets, port):
            async with open_desk(installation.settings, venue) as desk, anyio.create_task_group() as tasks:
                origins = desk_origins(port)
                tasks.start_soon(serve_page, desk_app(desk, origins=origins), sockets)
                yield next(iter(origins))
                tasks.cancel_scope.cancel()

    with installation.portal.wrap_async_context_manager(serving()) as url:
        yield url
