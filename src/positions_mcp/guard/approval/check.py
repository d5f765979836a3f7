"""Whether an approval may be used: the last look before an operation is taken for sending (G-01, G-02).

The checks run within the transaction that claims the operation, on what is stored then.
"""

from __future__ import annotations

from collections.abc import Callable

from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.operation.coverage import why_not_by_size, why_not_by_terms, why_not_by_time
from positions_mcp.domain.operation.mandate import MandateUse, Standing
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import Roster
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.guard.approval import statements
from positions_mcp.guard.approval.mandates import Under, decision_under, expect_covered, expect_signed
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.dependencies import Dependencies

Check = Callable[[Operation], None]
"""Raises Refused where the operation, as stored, may not be sent."""
_NOT_HERE = "Nothing was sent by this call."


class ApprovalCheck:
    """Makes the check for each channel. Remembers the approver it has seen, so that another needs its passphrase."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._known: Approver | None = None

    def of_call(self, decision: Decision, caller: str) -> Check:
        """An elicited yes counts only as this process recorded it for this call: a copied row approves nothing."""

        def check(operation: Operation) -> None:
            self._check_plan(operation, caller)
            if operation.decision != decision:
                raise Refused("The stored decision is not the one given to this call.", hint=_NOT_HERE)
            self._check_in_time(operation)

        return check

    async def of_desk(self, caller: str) -> Check:
        """A desk's yes counts if the approver's key signed it."""
        approver = await self.approver()

        def check(operation: Operation) -> None:
            self._check_plan(operation, caller)
            self._check_signed(operation, approver, Channel.DESK)

        return check

    async def of_terminal(self) -> Check:
        """A person flattening: signed like the desk's, and only for a plan made to flatten."""
        approver = await self.approver()

        def check(operation: Operation) -> None:
            if not operation.plan.flatten or operation.plan.mode is not self._deps.mode:
                raise Refused("This is not a plan to flatten.", hint="Nothing was sent.")
            self._check_signed(operation, approver, Channel.TERMINAL)

        return check

    async def of_mandate(self, mandate_id: str, caller: str) -> Under:
        """What an approver signed in advance counts as far as it goes: what the plan alone says is looked at here.

        What the account and policy say is looked at before each request, within its transaction.
        """
        roster = await self.roster()

        def permit(operation: Operation, standing: Standing) -> tuple[Decision, MandateUse]:
            self._check_plan(operation, caller)
            expect_signed(standing.mandate, roster, operation.plan)
            plan, now = operation.plan, self._deps.clock.now()
            expect_covered(
                [
                    *why_not_by_time(standing.mandate, now),
                    *why_not_by_terms(standing.mandate.terms, plan),
                    *why_not_by_size(standing, plan.measure),
                ],
                standing.mandate,
            )
            use = standing.next_use(plan.plan_id, plan.caller, plan.measure, now)
            lifetime = self._deps.policy.approval_lifetime
            return decision_under(standing.mandate, plan, use, now, now + lifetime), use

        return Under(mandate_id, roster, permit)

    async def roster(self) -> Roster | None:
        """Who may decide, as `approver` has it."""
        approver = await self.approver()
        return None if approver is None else Roster.of(approver)

    async def approver(self) -> Approver | None:
        """The approver, who must be the one seen first or follow it, each endorsed by the one before.

        Raises:
            Refused: it was replaced otherwise since this process first saw it.
            StoreUnavailable: the store itself shows that it was replaced without the old passphrase.
        """
        approvers = await in_thread(self._deps.store.approvers)
        if self._known is not None and self._known.public_key not in {each.public_key for each in approvers}:
            raise Refused(
                "The approver was replaced without the old passphrase.",
                hint="Nothing was sent by this server. A person must look: run positions-mcp operations verify, then "
                "restart.",
            )
        self._known = approvers[-1] if approvers else None
        return self._known

    def _check_plan(self, operation: Operation, caller: str) -> None:
        plan = operation.plan
        if plan.mode is not self._deps.mode:
            raise Refused(f"Plan {plan.plan_id} is for {plan.mode.shown}.", hint=_NOT_HERE)
        if plan.caller != caller or plan.flatten:
            raise Refused(f"Plan {plan.plan_id} was made by another caller.", hint=_NOT_HERE)
        self._deps.check_account(plan.account_id)

    def _check_in_time(self, operation: Operation) -> None:
        """By the time it is now: who wants to send may have waited for the store."""
        if operation.decision is None or self._deps.clock.now() >= operation.decision.expires_at:
            raise Overtaken(f"The approval of {operation.operation_id} lapsed before it was used.", hint="Plan again.")

    def _check_signed(self, operation: Operation, approver: Approver | None, channel: Channel) -> None:
        decision = operation.decision
        if decision is None or decision.channel is not channel:
            raise Refused(f"Plan {operation.operation_id} was not approved at the {channel}.", hint="Nothing was sent.")
        statements.verify(approver, operation.plan, decision)
        self._check_in_time(operation)
