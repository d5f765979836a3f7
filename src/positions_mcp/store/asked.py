"""The part of the operation store about one caller: found by an index, so that it costs the same in a large store."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import and_, or_, select

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store import counting, records
from positions_mcp.store.access import Access
from positions_mcp.store.schema import as_text, decisions, operations

_OPEN = [stage.value for stage in Stage if stage.is_open]


class StoredCallers(Access):
    """Implements `positions_mcp.ports.callers.CallerStore`, over what the whole store reads with."""

    def decided_for(
        self, mode: Mode, accounts: Collection[AccountId], caller: str, since: datetime, *, declined: bool
    ) -> tuple[Decision, ...]:
        """What people said to what a caller asked for in these accounts after an instant: the noes, or the yeses."""
        is_no, counts = operations.c.stage == Stage.DECLINED.value, operations.c.counted_at > as_text(since)
        # A preview that somebody approved does not count before it is taken for sending.
        is_preview = and_(operations.c.counted_at.is_(None), operations.c.stage == Stage.APPROVED.value)
        wanted = (
            select(decisions.c.content)
            .join(operations, operations.c.id == decisions.c.operation_id)
            .where(
                operations.c.mode == mode.value,
                operations.c.account_id.in_(accounts),
                operations.c.caller == caller,
                and_(counts, is_no) if declined else or_(and_(counts, ~is_no), is_preview),
            )
        )
        with self._reading() as connection:
            return tuple(map(Decision.model_validate_json, connection.execute(wanted).scalars()))

    def open_forms(self, mode: Mode, caller: str, now: datetime) -> tuple[str, ...]:
        """The undecided operations of a caller whose question is open in a form, the first one asked first."""
        with self._reading() as connection:
            return counting.open_forms(connection, mode, caller, now)

    def open_plans_for(self, mode: Mode, account_id: AccountId, caller: str, now: datetime) -> tuple[Operation, ...]:
        """A caller's plans in an account that may still be decided at `now`, the newest first."""
        wanted = (
            operations.c.due_at > as_text(now),
            operations.c.stage.in_(_OPEN),
            operations.c.mode == mode.value,
            operations.c.account_id == account_id,
            operations.c.caller == caller,
        )
        with self._reading() as connection:
            return records.select_operations(connection, *wanted, newest_first=True)
