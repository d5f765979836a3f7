"""The supervisor's page beside a server: opened when a plan first needs it, and shared by the servers of a store."""

from __future__ import annotations

import logging
from collections.abc import Collection

import anyio
from anyio.abc import TaskGroup

from positions_mcp.addresses import origin, place
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.servers import pages_of
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread
from positions_mcp.settings import Settings

_PATIENCE_S = 1.0
_log = logging.getLogger(__name__)


def desk_origins(port: int) -> Collection[str]:
    """The addresses of a page on this machine; the first is the one to use, because passkeys work there."""
    return [origin(f"http://{host}:{port}") for host in ("localhost", "127.0.0.1", "[::1]")]


class DeskElsewhere:
    """Implements `guard.dependencies.DeskAddress` with a page that a person has set up at an address of its own."""

    own_url = None

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> str | None:
        return self._url


class DeskHost:
    """Implements `guard.dependencies.DeskAddress`. The page lives in a task of the server's own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opening = anyio.Lock()
        self._deps: Dependencies | None = None
        self._tasks: TaskGroup | None = None
        self._url: str | None = None

    def attach(self, deps: Dependencies, tasks: TaskGroup) -> None:
        """What the page will be built of, and where it will run."""
        self._deps, self._tasks = deps, tasks

    @property
    def own_url(self) -> str | None:
        return self._url

    async def open(self) -> str | None:
        if self._deps is None or self._tasks is None:
            return None
        async with self._opening:
            if self._url is not None:
                return self._url
            try:
                servers = await in_thread(self._deps.store.servers, self._deps.clock.now())
                for url in pages_of(servers, self._deps.process):
                    # Who was killed is still named for half a minute.
                    if await is_reached(url, _PATIENCE_S):
                        return url
                self._url = await self._tasks.start(self._serve, self._deps)
            except (PositionsError, OSError) as error:
                _log.warning("the supervisor's page cannot be opened: %s", error)
            return self._url

    async def _serve(self, deps: Dependencies, *, task_status: anyio.abc.TaskStatus[str]) -> None:
        from positions_mcp.cli.serving.listening import desk_sockets, serve_page
        from positions_mcp.desk.app import desk_app
        from positions_mcp.desk.service import Desk

        with desk_sockets(self._port) as (sockets, port):
            origins = desk_origins(port)
            task_status.started(next(iter(origins)))
            await serve_page(desk_app(Desk(deps), origins=origins), sockets)


def desk_of(settings: Settings) -> DeskHost | DeskElsewhere | None:
    """Where a server sends approvers: to a desk that is set up, to a page of its own, or nowhere."""
    if settings.desk.public_url is not None:
        return DeskElsewhere(settings.desk.public_url)
    return DeskHost(settings.desk.port) if settings.desk.enabled and settings.trading_enabled else None


async def is_reached(url: str, within_s: float) -> bool:
    """Whether something listens there."""
    try:
        with anyio.fail_after(within_s):
            await (await anyio.connect_tcp(*place(url))).aclose()
    except (OSError, TimeoutError):
        return False
    return True
