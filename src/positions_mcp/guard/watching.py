"""Reading operations again: what time has decided, what the account now shows, and what may be concluded from it."""

from __future__ import annotations

from positions_mcp.domain.errors import Overtaken, StoreUnavailable, UpstreamError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.parts import Parts


class Watcher:
    """Follows operations from submitted to closed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._facts = parts.facts()
        self._senders = parts.senders()

    async def note_time(self) -> None:
        """Write down expired plans, lapsed approvals and leases that ran out. A store that is read-only waits."""
        try:
            after = self._parts.policy.halt_after
            await in_thread(self._parts.store.expire, self._parts.clock.now(), halt_after=after)
        except StoreUnavailable:
            return

    async def follow(self, operation: Operation) -> tuple[Operation, str]:
        """The operation with what the account now shows, and why it could not be read (empty where it could)."""
        if not any(row.is_unfinished for row in operation.rows):
            return operation, ""
        try:
            facts = await self._facts.read(operation.account_id, operation.plan.kind)
            rows = await self._senders[operation.plan.kind].follow(operation, facts)
        except UpstreamError as error:
            return operation, f"The account could not be read now: {error.message}"
        if not rows:
            return operation, ""
        event = "reconciled" if any(row.resolution for row in rows) else "followed"
        now = self._parts.clock.now()
        try:
            return await in_thread(self._parts.store.observe, operation, rows, now, event=event), ""
        except Overtaken:
            return await self._parts.operation(operation.operation_id), ""
        except StoreUnavailable as error:
            seen = {row.position: row for row in rows}
            merged = tuple(seen.get(row.position, row) for row in operation.rows)
            return operation.changed(rows=merged), f"Seen, but not recorded: {error.message}"
