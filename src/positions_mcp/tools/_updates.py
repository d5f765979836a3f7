"""Who wants to hear that a resource has changed, in either protocol era, and the task that tells them.

The 2026 era listens on a stream of its own (`subscriptions/listen`); the legacy era subscribes to one resource after
another and hears of them between other messages. Both hear that something has changed, never what.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, SubscriptionsListenRequestParams, SubscriptionsListenResult

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.guard import Guard
from positions_mcp.tools._uris import OPERATION, POSITIONS

FOLLOWING_S = 5.0
"""How often operations that somebody watches, and that may still move, are read again at the broker."""
_SLOWEST = 6
"""How many times less often than that while nothing changes, neither there nor in the store."""
_SLOWEST_CLIENT_S = 5.0

_log = logging.getLogger(__name__)


class Updates:
    """The subscriptions of one server. While there are none, nothing is read."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)
        self._subscribed: dict[Connection, set[str]] = {}
        self._wanted: Counter[str] = Counter()
        self._somebody = anyio.Event()
        self._seen: Mapping[str, int] | None = None
        """Up to where everybody has been told of changes; None while nobody is there to be told."""

    async def listen(
        self,
        guard: Guard,
        request: ServerRequestContext[Any, Any],
        params: SubscriptionsListenRequestParams,
        uris: Sequence[str],
    ) -> SubscriptionsListenResult:
        """Serve one stream of the 2026 era, for those of the resources asked for that the caller may see."""
        asked = params.notifications.model_copy(update={"resource_subscriptions": list(uris)})
        async with self._wanting(guard, uris):
            return await self._streams(request, params.model_copy(update={"notifications": asked}))

    async def subscribe(self, guard: Guard, request: ServerRequestContext[Any, Any], uri: str) -> None:
        """Tell a client of the legacy era about a resource that it may see, until it leaves or has heard enough.

        Raises MCPError where there is no session to tell it in.
        """
        connection = _connection(request)
        if connection not in self._subscribed:
            self._subscribed[connection] = set()
            connection.exit_stack.callback(self._forget, connection)
        if uri not in self._subscribed[connection]:
            self._subscribed[connection].add(uri)
            await self._want(guard, [uri])

    def unsubscribe(self, request: ServerRequestContext[Any, Any], uri: str) -> None:
        """Tell it no more."""
        uris = self._subscribed.get(_connection(request), set())
        if uri in uris:
            uris.remove(uri)
            self._unwant([uri])

    async def watch(self, guard: Guard, every_s: float) -> None:
        """Watch the store for as long as somebody listens, and tell them. Belongs to the server's lifespan."""
        follow_at, pause = 0.0, FOLLOWING_S
        while True:
            await self._somebody.wait()
            await anyio.sleep(every_s)
            try:
                if anyio.current_time() >= follow_at:
                    is_new = await self._follow(guard)
                    pause = FOLLOWING_S if is_new else min(2 * pause, _SLOWEST * FOLLOWING_S)
                    follow_at = anyio.current_time() + pause
                if await self._look(guard):
                    pause = FOLLOWING_S
                    follow_at = min(follow_at, anyio.current_time() + pause)
            except StoreUnavailable:
                continue
            except Exception:  # a defect here must not end a server that may be sending
                _log.exception("Watching for updates failed")

    async def _look(self, guard: Guard) -> bool:
        """Tell of what has changed in the store. Returns whether anything has."""
        if self._seen is None:
            return False
        newest, changed = await guard.changes.since(self._seen)
        if self._seen is not None:
            self._seen = newest
            for uri in _uris_of(changed):
                await self._tell(uri)
        return bool(changed)

    async def _follow(self, guard: Guard) -> bool:
        watched = [uri.removeprefix(OPERATION) for uri in self._wanted if uri.startswith(OPERATION)]
        return await guard.changes.look_for_more(watched)

    async def _tell(self, uri: str) -> None:
        if uri not in self._wanted:
            return
        await self._bus.publish(ResourceUpdated(uri))
        with anyio.move_on_after(_SLOWEST_CLIENT_S):
            async with anyio.create_task_group() as tasks:
                for connection, uris in self._subscribed.items():
                    if uri in uris:
                        tasks.start_soon(connection.send_resource_updated, uri)

    @asynccontextmanager
    async def _wanting(self, guard: Guard, uris: Sequence[str]) -> AsyncIterator[None]:
        try:
            await self._want(guard, uris)
            yield
        finally:
            self._unwant(uris)

    async def _want(self, guard: Guard, uris: Iterable[str]) -> None:
        """From now on: no change after the client's request was acknowledged is missed."""
        self._wanted.update(uris)
        if self._wanted and self._seen is None:
            newest: Mapping[str, int] = {}
            with suppress(StoreUnavailable):
                newest = await guard.changes.newest()
            if self._wanted and self._seen is None:
                self._seen = newest
        if self._wanted:
            self._somebody.set()

    def _unwant(self, uris: Iterable[str]) -> None:
        self._wanted.subtract(uris)
        self._wanted = +self._wanted
        if not self._wanted and self._somebody.is_set():
            self._somebody = anyio.Event()
            self._seen = None

    def _forget(self, connection: Connection) -> None:
        self._unwant(self._subscribed.pop(connection, set()))


def _connection(request: ServerRequestContext[Any, Any]) -> Connection:
    if not request.session.can_send_request:
        raise MCPError(METHOD_NOT_FOUND, "No sessions are kept here, so nobody is told of changes. Read it again.")
    return request.session._connection  # noqa: SLF001 — the SDK gives handlers no other way to it, and to its end


def _uris_of(changed: Iterable[Operation]) -> list[str]:
    """The operations, and the positions of every account to which something has been sent."""
    uris: dict[str, None] = {}
    for operation in changed:
        uris[f"{OPERATION}{operation.operation_id}"] = None
        if any(row.state is not RowState.NOT_SENT for row in operation.rows):
            uris[f"{POSITIONS}{operation.account_id}"] = None
    return list(uris)
