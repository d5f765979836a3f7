"""The part of the operation store about one caller: found by an index, so that it costs the same in a large store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache

from sqlalchemy import and_, or_, select

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store import counting, records
from positions_mcp.store.access import Access
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.schema import as_text, decisions, operations

_COUNTS, _IS_NO = operations.c.counted_at > given("since"), operations.c.stage == Stage.DECLINED.value
# A preview that somebody approved does not count before it is taken for sending.
_IS_PREVIEW = and_(operations.c.counted_at.is_(None), operations.c.stage == Stage.APPROVED.value)
_OPEN_PLANS = records.Selection.where(
    operations.c.due_at > given("now"),
    operations.c.stage.in_(records.OPEN),
    operations.c.mode == given("mode"),
    operations.c.account_id == given("account_id"),
    operations.c.caller == given("caller"),
    order=records.LAST_PLANNED_FIRST,
)


class StoredCallers(Access):
    """What `positions_mcp.ports.OperationStore` says of callers, over what the whole store reads with."""

    def decided_for(
        self, mode: Mode, accounts: Collection[AccountId], caller: str, since: datetime, *, declined: bool
    ) -> tuple[Decision, ...]:
        asked: dict[str, object] = {"mode": mode.value, "caller": caller, "since": as_text(since)}
        asked |= {f"account_{number}": account for number, account in enumerate(accounts)}
        with self._reading(at_once=False) as connection:
            found = _decided(len(accounts), declined).all(connection, **asked)
        return tuple(Decision.model_validate_json(content) for (content,) in found)

    def open_forms(self, mode: Mode, caller: str, now: datetime, *, asking: str = "") -> Mapping[str, frozenset[str]]:
        with self._reading() as connection:
            return counting.open_forms(connection, mode, caller, now, asking=asking)

    def open_plans_for(self, mode: Mode, account_id: AccountId, caller: str, now: datetime) -> tuple[Operation, ...]:
        asked = {"mode": mode.value, "account_id": account_id, "caller": caller, "now": as_text(now)}
        return self._selected(_OPEN_PLANS, **asked)


@cache
def _decided(accounts: int, declined: bool) -> Compiled:
    """What was said in so many accounts: the noes, or the yeses."""
    return Compiled(
        select(decisions.c.content)
        .join(operations, operations.c.id == decisions.c.operation_id)
        .where(
            operations.c.mode == given("mode"),
            operations.c.account_id.in_([given(f"account_{number}") for number in range(accounts)]),
            operations.c.caller == given("caller"),
            and_(_COUNTS, _IS_NO) if declined else or_(and_(_COUNTS, ~_IS_NO), _IS_PREVIEW),
        )
    )
