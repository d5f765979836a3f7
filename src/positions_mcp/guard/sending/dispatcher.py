"""Sends what was approved at the desk, whether or not a call still waits for it (G-19).

Every server of a store watches the journal's end and tries; the store lets one of them claim an operation, once. A
yes that a form in a client gave belongs to its call, and a preview's to the call that asks for it: neither leaves here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from positions_mcp.domain.errors import PositionsError, StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.sending.heartbeat import Heartbeat
from positions_mcp.guard.threads import in_thread

POLL_S = 0.4
_SLOWEST_POLL_S = 0.8
"""While nothing happens in the store. What is approved elsewhere is begun within a second all the same."""
_STORE_PAUSE_S = 2.0
_MOST_AT_ONCE = 100

_log = logging.getLogger(__name__)


class Send(Protocol):
    """Sends one operation that the desk approved, for who asked for it."""

    def __call__(self, operation_id: str, *, caller: str) -> Awaitable[object]:
        """Raises PositionsError where it is not sent, or another server has it."""


class Dispatcher:
    """One for a server. It reads a store only once something may be waiting there."""

    def __init__(self, deps: Dependencies, send: Send) -> None:
        self._deps = deps
        self._send = send
        self._needed = anyio.Event()
        self._seen = -1
        self._resting = False
        self._heartbeat = Heartbeat(deps, sends=deps.policy.trading_enabled)

    async def announce(self) -> None:
        """Say on the store that this process is alive, unless it has just said so. Raises StoreUnavailable."""
        await self._heartbeat.say(self._deps.desk.own_url if self._deps.desk is not None else None)

    def wake(self) -> None:
        """From now on something may be approved."""
        self._needed.set()

    def rest(self) -> None:
        """Take nothing more: another server does."""
        self._resting = True

    async def run(self, *, idle_start: Callable[[], Awaitable[None]]) -> None:
        """Look and send until cancelled. Begins when it is woken, or `idle_start` has passed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._wake_after, idle_start)
            await self._needed.wait()
            tasks.cancel_scope.cancel()
        try:
            async with anyio.create_task_group() as tasks:
                await self._look(tasks)
        finally:
            await self._heartbeat.leave()

    async def _look(self, tasks: TaskGroup) -> None:
        pause = POLL_S
        while True:
            decided, seen = self._deps.decided.next, self._seen
            try:
                await self.announce()
                for operation in await self._approved():
                    tasks.start_soon(self._send_one, operation)
            except StoreUnavailable as error:
                _log.debug("nothing is looked for: %s", error.message)
                await self._deps.sleep(_STORE_PAUSE_S)
            except Exception:  # a server that cannot look still answers
                _log.exception("looking for what is approved failed")
                await self._deps.sleep(_STORE_PAUSE_S)
            pause = POLL_S if self._seen != seen else min(2 * pause, _SLOWEST_POLL_S)
            await self._pause(decided, pause)

    async def _pause(self, decided: anyio.Event, seconds: float) -> None:
        """Until the next look: at once where a decision was made on this process's own page."""
        async with anyio.create_task_group() as tasks:

            async def at_once() -> None:
                await decided.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(at_once)
            await self._deps.sleep(seconds)
            tasks.cancel_scope.cancel()

    async def _wake_after(self, idle_start: Callable[[], Awaitable[None]]) -> None:
        await idle_start()
        self.wake()

    async def _approved(self) -> tuple[Operation, ...]:
        """What was approved since it was last looked for: of this mode, and of accounts that may be used here."""
        found = await in_thread(self._approved_since_seen)
        return tuple(operation for operation in found if self._is_ours(operation))

    def _approved_since_seen(self) -> tuple[Operation, ...]:
        store = self._deps.store
        newest = store.newest()  # first: what is approved after it is found now, or at the next look
        if newest == self._seen or self._resting:
            return ()
        found = store.in_stages((Stage.APPROVED,), _MOST_AT_ONCE)
        self._seen = newest
        return found

    def _is_ours(self, operation: Operation) -> bool:
        plan, decision = operation.plan, operation.decision
        return (
            decision is not None
            and decision.channel is Channel.DESK
            and not decision.of_preview
            and not plan.flatten
            and plan.mode is self._deps.mode
            and plan.account_id in self._deps.policy.accounts
            and not self._deps.policy_of(plan).unknown_rights
            and operation.state(self._deps.clock.now()) is OperationState.APPROVED
        )

    async def _send_one(self, operation: Operation) -> None:
        try:
            await self._send(operation.operation_id, caller=operation.plan.caller)
        except PositionsError as error:
            # Another server has it, or it may not be sent now: the record says which.
            _log.info("%s is not sent by this server: %s", operation.operation_id, error.message)
        except Exception:
            _log.exception("sending %s failed", operation.operation_id)
