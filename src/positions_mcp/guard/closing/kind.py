"""Closing, as a kind of operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.answer import account_for
from positions_mcp.guard.closing.compare import compare_closes, why_closed
from positions_mcp.guard.closing.cover import (
    findings_on_cover,
    findings_on_tonight,
    findings_on_unjudged_cover,
    uncovering,
)
from positions_mcp.guard.closing.draft import draft_close
from positions_mcp.guard.closing.follow import follow_closes
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.closing.targets import Hours
from positions_mcp.guard.closing.unclosable import (
    findings_on_hours,
    findings_on_last_day,
    findings_on_left_out,
    findings_on_locked,
)
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kind import Answer, Comparison, Draft, Request
from positions_mcp.guard.policy.findings import Finding


class Closing:
    """Implements `positions_mcp.guard.kind.OperationKind` for both kinds of close."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    def draft(self, request: CloseRequest, account: Account) -> Draft:
        return draft_close(request, account, Hours.of(self._deps))

    def findings(self, plan: Plan, account: Account) -> Iterator[Finding]:
        """Short options losing their cover, the hours, what is locked, trades last today or is left out."""
        hours, policy = Hours.of(self._deps), self._deps.policy_of(plan)
        yield from findings_on_cover(policy, plan, account, hours)
        yield from findings_on_unjudged_cover(policy, plan, account)
        yield from findings_on_hours(plan, hours)
        yield from findings_on_locked(plan, account)
        yield from findings_on_last_day(plan, account, hours)
        yield from findings_on_tonight(plan, account, hours)
        yield from findings_on_left_out(plan, account, hours)

    def compare(self, plan: Plan, account: Account) -> Comparison:
        return compare_closes(plan, account, self._deps.policy, Hours.of(self._deps))

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        """One for each row that is not flat, or one for them all."""
        reserving = comparison.reserving
        if plan.kind.is_account_wide:
            return [Request(reserving)] if reserving else []
        return [Request({position: reserving[position]}) for position in sorted(reserving)]

    def obstacle(self, operation: Operation, request: Request, account: Account) -> str:
        """A sale that would uncover a short whose buy-back is not known waits, and all do once the session is over."""
        plan, hours = operation.plan, Hours.of(self._deps)
        if why := why_closed(plan, hours):
            return why
        if plan.kind.is_account_wide or plan.flatten or self._deps.policy_of(plan).allow_uncovered:
            return ""
        (position,) = request.rows
        return uncovering(operation, position, account, hours)

    async def send(self, operation: Operation, request: Request) -> Answer:
        """One DELETE; `cancel_orders` is always said."""
        plan, writer = operation.plan, self._deps.order_writer
        if plan.kind.is_account_wide:
            response = await writer.close_positions(plan.account_id, plan.cancel_orders)
        else:
            (position,) = request.rows
            target = plan.closings[position]
            response = await writer.close_position(plan.account_id, target.instrument_id, plan.cancel_orders)
        return account_for(plan, request, response)

    async def follow(self, operation: Operation, account: Account) -> Sequence[Row]:
        return follow_closes(
            operation, account, self._deps.write_timeout, timedelta(seconds=self._deps.policy.book_lag_s)
        )
