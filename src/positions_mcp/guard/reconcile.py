"""Reading operations again: what time has decided, what the account now shows, and what has changed, whoever did it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import anyio

from positions_mcp.domain.errors import Overtaken, StoreUnavailable, UpstreamError
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.search import Viewer
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kinds import kinds_of
from positions_mcp.guard.threads import in_thread


class Reconciler:
    """Follows operations from submitted to closed."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._accounts = AccountReader(deps)
        self._kinds = kinds_of(deps)

    async def note_time(self) -> None:
        """Write down expired plans, lapsed approvals and leases that ran out. A store that is read-only waits."""
        try:
            after = self._deps.policy.halt_after
            await in_thread(self._deps.store.expire, self._deps.clock.now(), halt_after=after)
        except StoreUnavailable:
            return

    async def follow(self, operation: Operation, *, within_s: float | None = None) -> tuple[Operation, str]:
        """The operation with what the account now shows, and why it could not be read (empty where it could).

        Reading takes at most `within_s` seconds; as long as one reading may, if omitted.
        """
        within_s = self._deps.reading.total_seconds() if within_s is None else within_s
        if not any(row.is_unfinished for row in operation.rows):
            return operation, ""
        rows: Sequence[Row] | None = None
        try:
            with anyio.move_on_after(within_s):
                account = await self._accounts.to_follow([operation])
                rows = await self._kinds[operation.plan.kind].follow(operation, account)
        except UpstreamError as error:
            return operation, f"The account could not be read now: {error.message}"
        if rows is None:
            return operation, f"The account could not be read now: it took longer than {within_s:.3g} s."
        return await self._noted(operation, rows) if rows else (operation, "")

    async def follow_together(self, operations: Sequence[Operation]) -> bool:
        """Follow these with one reading of each account. Returns whether anything new was seen."""
        of_accounts: defaultdict[AccountId, list[Operation]] = defaultdict(list)
        for operation in operations:
            if any(row.is_unfinished for row in operation.rows):
                of_accounts[operation.account_id].append(operation)
        is_new = False
        for followed in of_accounts.values():
            with suppress(UpstreamError), anyio.move_on_after(self._deps.reading.total_seconds()):
                account = await self._accounts.to_follow(followed)
                for operation in followed:
                    if rows := await self._kinds[operation.plan.kind].follow(operation, account):
                        await self._noted(operation, rows)
                        is_new = True
        return is_new

    async def _noted(self, operation: Operation, rows: Sequence[Row]) -> tuple[Operation, str]:
        """The operation with what was seen of its rows, and why that is not recorded (empty where it is)."""
        event = "reconciled" if any(row.resolution for row in rows) else "followed"
        now = self._deps.clock.now()
        try:
            return await in_thread(self._deps.store.observe, operation, rows, now, event=event), ""
        except Overtaken:
            return await self._deps.operation(operation.operation_id), ""
        except StoreUnavailable as error:
            seen = {row.position: row for row in rows}
            merged = tuple(seen.get(row.position, row) for row in operation.rows)
            return operation.changed(rows=merged), f"Seen, but not recorded: {error.message}"


_MOST = 1000
_NOTED_EVERY = timedelta(seconds=3)
"""How often what time decides is written down while nothing else happens: by whoever calls, it is at once."""


class ChangeFeed:
    """Reads the end of the journal, in which every change is an entry."""

    def __init__(self, deps: Dependencies, reconciler: Reconciler) -> None:
        self._deps = deps
        self._reconciler = reconciler
        self._noted_at: datetime | None = None
        self._looked: tuple[int, Mapping[str, int]] | None = None
        """How many entries the journal had before it was last looked at, and where its chains ended then."""

    async def newest(self) -> Mapping[str, int]:
        return await in_thread(self._deps.store.ends)

    async def since(self, ends: Mapping[str, int]) -> tuple[Mapping[str, int], tuple[Operation, ...]]:
        """Up to where the journal goes now, and the operations of this mode that have changed after `ends`.

        What time decides is written down first, where it was not just now. Of more than a thousand operations those
        changed last. Raises StoreUnavailable.
        """
        now = self._deps.clock.now()
        if self._noted_at is None or not timedelta(0) <= now - self._noted_at < _NOTED_EVERY:
            await self._reconciler.note_time()
            self._noted_at = now
        looked = await in_thread(self._deps.store.newest), ends
        if looked == self._looked:
            return ends, ()
        newest, changed = await in_thread(self._deps.store.changed_since, ends, most=_MOST)
        self._looked = looked[0], newest
        return newest, await in_thread(self._found, changed)

    async def look_for_more(self, operation_ids: Sequence[str]) -> bool:
        """Follow these operations as far as they may still move, with one reading of each account.

        Returns whether anything new was seen. What cannot be read waits for the next time. Raises StoreUnavailable.
        """
        found, accounts = await in_thread(self._found, operation_ids), self._deps.policy.accounts
        return await self._reconciler.follow_together([each for each in found if each.plan.account_id in accounts])

    def _found(self, operation_ids: Sequence[str]) -> tuple[Operation, ...]:
        """Those of this mode, in one view."""
        store = self._deps.store
        with store.at_once():
            found = [store.operation(each) for each in operation_ids]
        return tuple(each for each in found if each is not None and each.plan.mode is self._deps.mode)

    async def may_see(self, operation_id: str, viewer: Viewer) -> bool:
        operation = await in_thread(self._deps.store.operation, operation_id)
        if operation is None or operation.plan.mode is not self._deps.mode:
            return False
        return operation.plan.account_id in self._deps.policy.accounts and viewer.sees(operation.plan)
