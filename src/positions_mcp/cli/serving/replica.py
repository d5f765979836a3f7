"""What makes a server one of several: checks for balancers, an end in steps, limits, an id for each request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus
from anyio.to_thread import run_sync
from starlette.types import ASGIApp

from positions_mcp.cli.assembly.stores import database_of
from positions_mcp.cli.serving.desk_host import is_reached
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import of_another_policy
from positions_mcp.operating import requests
from positions_mcp.operating.drain import Drain
from positions_mcp.operating.readiness import Found, Health, Watch
from positions_mcp.operating.requests import Limits
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings, live_access

if TYPE_CHECKING:
    from positions_mcp.store.fitness import Inspector

_PATIENCE_S = 3.0
_BROKER_FRESH_S = 10.0


@dataclass(frozen=True)
class Replica:
    """What stands around the applications of one process."""

    drain: Drain
    limits: Limits
    watch: Watch

    def outside(self, app: ASGIApp) -> ASGIApp:
        return requests.outside(Health(app, self.watch.look))

    def known(self, app: ASGIApp) -> ASGIApp:
        """Where the caller is known."""
        return self.limits.around(app)

    def whole(self, app: ASGIApp) -> ASGIApp:
        """Where the body of a request is whole as well."""
        return requests.inside(self.drain.around(app))

    async def stopped_when_told(self, end: Callable[[], object], *, task_status: TaskStatus[None]) -> None:
        """Drain at the first signal, and then `end`; wait for nothing any more at the next."""
        with this_platform().stop_signals() as signals:
            async with anyio.create_task_group() as tasks:
                task_status.started()
                async for _ in signals:
                    if self.drain.is_draining:
                        self.drain.hurry()
                    else:
                        tasks.start_soon(self.drain.out, end)


@contextmanager
def replica_of(settings: Settings) -> Iterator[Replica]:
    http, store = settings.http, _Store(settings)
    drain = Drain(http.grace_s)
    a_minute = None if http.max_requests_per_minute == "none" else http.max_requests_per_minute
    watch = Watch({"store": store.look, "broker": _Broker(settings).look}, lambda: drain.is_draining)
    try:
        yield Replica(drain, Limits(http.max_requests_at_once, a_minute), watch)
    finally:
        store.close()


class _Store:
    """Whether the store can be traded on, and the servers on it go by one policy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inspector: Inspector | None = None

    async def look(self) -> Mapping[str, Found]:
        from positions_mcp.guard.dependencies import process_name
        from positions_mcp.store.fitness import Inspector

        settings = self._settings
        if self._inspector is None:
            self._inspector = Inspector(database_of(settings))
        fitness = await run_sync(self._inspector.look)
        if fitness.why_not:
            return {"store": Found(fitness.why_not, blocks=True)}
        others = of_another_policy(fitness.servers, process_name(), settings.policy.fingerprint, settings.mode)
        words = f"others that were there before ({others}) go by other limits, accounts or rights"
        return {"store": Found(), "policy": Found(words, blocks=True) if others else Found()}

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()


class _Broker:
    """Whether the broker can be reached: that is said, and no reason to ask another replica, which has the same one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: tuple[float, Found] | None = None

    async def look(self) -> Mapping[str, Found]:
        if self._seen is None or monotonic() - self._seen[0] >= _BROKER_FRESH_S:
            self._seen = monotonic(), await self._reached()
        return {"broker": self._seen[1]}

    async def _reached(self) -> Found:
        if self._settings.mode is Mode.LIVE:
            url = live_access(self._settings.api.hosts).base_url
        elif self._settings.paper.url is not None:
            url = self._settings.paper.url
        else:
            return Found()  # the exchange is in this process
        return Found() if await is_reached(url, _PATIENCE_S) else Found("it cannot be reached")
