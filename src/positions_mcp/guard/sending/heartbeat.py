"""Says on the store that this process is alive, whether it sends, and where its page is."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import anyio

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.servers import ALIVE_FOR, Server
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread

SAID_EVERY = timedelta(seconds=10)
_SECONDS_TO_LEAVE = 2

_log = logging.getLogger(__name__)


class Heartbeat:
    """One for a process on the store."""

    def __init__(self, deps: Dependencies, *, sends: bool) -> None:
        self._deps = deps
        self._sends = sends
        self._said_at: datetime | None = None
        self._said_url: str | None = None
        self._since: datetime | None = None
        self._saying = anyio.Lock()

    async def say(self, url: str | None) -> None:
        """That it is alive, with the page at `url`; nothing where that was said just now. Raises StoreUnavailable."""
        async with self._saying:
            deps, now = self._deps, self._deps.clock.now()
            if self._said_at is not None and now < self._said_at + SAID_EVERY and url == self._said_url:
                return
            self._since = self._since or now
            server = Server(
                process=deps.process,
                mode=deps.mode,
                accounts=tuple(sorted(deps.policy.accounts)),
                sends=self._sends,
                desk_url=url,
                until=now + ALIVE_FOR,
                policy=deps.policy.fingerprint,
                since=self._since,
            )
            await in_thread(deps.store.announce, server, now)
            self._said_at, self._said_url = now, url

    async def keep_saying(self, url: str) -> None:
        """That the page is there, until cancelled. A store that cannot be written now is tried again."""
        try:
            while True:
                try:
                    await self.say(url)
                except StoreUnavailable as error:
                    _log.debug("it is not said where the page is: %s", error.message)
                await self._deps.sleep(SAID_EVERY.total_seconds())
        finally:
            await self.leave()

    async def leave(self) -> None:
        """That it ends: nobody waits for it any more. What was never said is not taken back."""
        if self._said_at is None:
            return
        with anyio.move_on_after(_SECONDS_TO_LEAVE, shield=True):
            try:
                await in_thread(self._deps.store.withdraw, self._deps.process)
            except StoreUnavailable as error:
                _log.debug("it is not said that this process ends: %s", error.message)
