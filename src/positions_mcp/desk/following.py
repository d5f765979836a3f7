"""Follows what was sent while a page looks at it: no tool call may be there any more to do so."""

from __future__ import annotations

from datetime import datetime, timedelta

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import Stage
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.supervisor import Supervisor

EVERY = timedelta(seconds=1)
_MOST_REMEMBERED = 1000


def is_moving(operation: Operation) -> bool:
    """Whether reading the account again may show more of what became of it."""
    return operation.stage is Stage.FINISHED and any(row.is_unfinished for row in operation.rows)


class Following:
    """Reads the account of an operation again, once a second at most, however many pages look at it."""

    def __init__(self, deps: Dependencies, supervisor: Supervisor) -> None:
        self._deps = deps
        self._supervisor = supervisor
        self._begun: dict[str, datetime] = {}
        self._reading: set[str] = set()
        self._why: dict[str, str] = {}

    async def look(self, operation: Operation) -> None:
        """Read the account again and note what it shows, unless that was begun within the last second."""
        key, now = operation.operation_id, self._deps.clock.now()
        if not is_moving(operation) or self._is_elsewhere(operation) or key in self._reading:
            return
        if key in self._begun and now - self._begun[key] < EVERY:
            return
        if len(self._begun) >= _MOST_REMEMBERED:
            self._begun.clear()
            self._why.clear()
        self._begun[key] = now
        self._reading.add(key)
        try:
            _, self._why[key] = await self._supervisor.follow(key)
        finally:
            self._reading.discard(key)

    def why_not(self, operation: Operation) -> str:
        """Why what is shown may be older than the account; empty where it is not, or nothing more will happen."""
        if not is_moving(operation):
            return ""
        if self._is_elsewhere(operation):
            mode = self._deps.mode.shown
            return f"This page reads the {mode} accounts of its own settings: what became of it is not followed here."
        return self._why.get(operation.operation_id, "")

    def _is_elsewhere(self, operation: Operation) -> bool:
        plan = operation.plan
        return plan.mode is not self._deps.mode or plan.account_id not in self._deps.policy.accounts
