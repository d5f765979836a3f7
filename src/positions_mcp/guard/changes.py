"""What has changed among the operations, whoever changed it: this process, another one, or time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.search import Viewer
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.reconcile import Reconciler

_MOST = 1000
_NOTED_EVERY = timedelta(seconds=3)
"""How often what time decides is written down while nothing else happens: by whoever calls, it is at once."""


class ChangeFeed:
    """Reads the end of the journal, in which every change is an entry."""

    def __init__(self, deps: Dependencies, reconciler: Reconciler) -> None:
        self._deps = deps
        self._reconciler = reconciler
        self._noted_at: datetime | None = None

    async def newest(self) -> Mapping[str, int]:
        """Up to where the journal goes now. Raises StoreUnavailable."""
        return await in_thread(self._deps.store.ends)

    async def since(self, ends: Mapping[str, int]) -> tuple[Mapping[str, int], tuple[Operation, ...]]:
        """Up to where the journal goes now, and the operations of this mode that have changed after `ends`.

        What time decides is written down first, where it was not just now. Of more than a thousand operations those
        changed last.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        now = self._deps.clock.now()
        if self._noted_at is None or not timedelta(0) <= now - self._noted_at < _NOTED_EVERY:
            await self._reconciler.note_time()
            self._noted_at = now
        newest, changed = await in_thread(self._deps.store.changed_since, ends, most=_MOST)
        found = [await in_thread(self._deps.store.operation, operation_id) for operation_id in changed]
        return newest, tuple(each for each in found if each is not None and each.plan.mode is self._deps.mode)

    async def look_for_more(self, operation_ids: Sequence[str]) -> bool:
        """Follow these operations as far as they may still move, with one reading of each account.

        Returns whether anything new was seen. What cannot be read waits for the next time. Raises StoreUnavailable.
        """
        found = [await in_thread(self._deps.store.operation, operation_id) for operation_id in operation_ids]
        mode, accounts = self._deps.mode, self._deps.policy.accounts
        return await self._reconciler.follow_together(
            [each for each in found if each and each.plan.mode is mode and each.plan.account_id in accounts]
        )

    async def may_see(self, operation_id: str, viewer: Viewer) -> bool:
        """Whether there is such an operation for a viewer."""
        operation = await in_thread(self._deps.store.operation, operation_id)
        if operation is None or operation.plan.mode is not self._deps.mode:
            return False
        return operation.plan.account_id in self._deps.policy.accounts and viewer.sees(operation.plan)
