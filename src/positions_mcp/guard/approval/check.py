"""Whether an approval may be used: the last look before an operation is taken for sending (G-01, G-02).

The checks run within the transaction that claims the operation, on what is stored then.
"""

from __future__ import annotations

from collections.abc import Sequence

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.operation.coverage import why_not_by_size, why_not_by_terms, why_not_by_time
from positions_mcp.domain.operation.mandate import MandateUse, Standing
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.guard.approval.mandates import (
    ApprovedBy,
    Under,
    decision_under,
    expect_covered,
    expect_on_word_of_signer,
    holds_for,
)
from positions_mcp.guard.approval.statements import expect_approved
from positions_mcp.guard.dependencies import Dependencies, in_thread
from positions_mcp.ports import Ledger, Permitting
from positions_mcp.signing.rosters import RosterChain


class ApprovalCheck:
    """Makes the check for each channel. Remembers the roster it has seen, so that another has to follow it."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._known = ""

    def of_call(self, decision: Decision, caller: str) -> Permitting:
        """An elicited yes counts only as this process recorded it for this call: a copied row approves nothing."""

        def check(operation: Operation, ledger: Ledger) -> None:
            self._followed(ledger.rosters())
            self._check_plan(operation, caller)
            if operation.decision != decision:
                raise Refused("The stored decision is not the one given to this call.")
            self._check_in_time(operation)

        return check

    def of_desk(self, caller: str) -> Permitting:
        """A desk's yes counts if members of the roster signed it who may."""

        def check(operation: Operation, ledger: Ledger) -> None:
            self._check_plan(operation, caller)
            self._check_signed(operation, ledger, Channel.DESK)

        return check

    def of_terminal(self) -> Permitting:
        """A person flattening: signed like the desk's, and only for a plan made to flatten."""

        def check(operation: Operation, ledger: Ledger) -> None:
            if not operation.plan.flatten or operation.plan.mode is not self._deps.mode:
                raise Refused("This is not a plan to flatten.", hint="Nothing was sent.")
            self._check_signed(operation, ledger, Channel.TERMINAL)

        return check

    def of_mandate(self, mandate_id: str, caller: str) -> Under:
        """What an approver signed in advance counts as far as it goes: what the plan alone says is looked at here.

        What the account and policy say is looked at before each request, within its transaction.
        """

        def permit(operation: Operation, ledger: Ledger) -> tuple[Decision, MandateUse]:
            self._check_plan(operation, caller)
            plan, now, standing = operation.plan, self._deps.clock.now(), ledger.standing(mandate_id)
            roster = self._followed(ledger.rosters()).roster
            expect_on_word_of_signer(standing.mandate, roster, plan, self._approved(ledger, plan))
            if self._was_declined(ledger, plan):
                raise Refused("A person has just said no to some of it.", hint="Nothing was sent. Ask them.")
            expect_covered(
                [
                    *why_not_by_time(standing.mandate, now),
                    *why_not_by_terms(standing.mandate.terms, plan),
                    *why_not_by_size(standing, plan.measure),
                ],
                standing.mandate,
            )
            use = standing.next_use(plan.plan_id, plan.caller, plan.measure, now)
            lifetime = self._deps.policy_of(plan).approval_lifetime
            return decision_under(standing.mandate, plan, use, now, now + lifetime), use

        return Under(mandate_id, permit)

    async def on_word_of_signers(self, standings: Sequence[Standing], plan: Plan) -> list[Standing]:
        """Those of the mandates that a plan may go by, as far as that is up to who signed them. Raises as `rosters`."""
        if not standings:
            return []
        roster, approved = (await self.rosters()).roster, self._approved(self._deps.store, plan)
        return await in_thread(lambda: [each for each in standings if holds_for(each.mandate, roster, plan, approved)])

    async def was_declined(self, plan: Plan) -> bool:
        """Whether a person has just said no to any of a plan's targets, also as a part of another plan."""
        return await in_thread(self._was_declined, self._deps.store, plan)

    async def rosters(self) -> RosterChain:
        """Who may decide, who must be the ones seen first or follow them, each change signed by who might make it.

        Raises:
            Refused: they were replaced otherwise since this process first saw them.
            StoreUnavailable: the store itself shows it.
        """
        return self._followed(await in_thread(self._deps.store.rosters))

    def _was_declined(self, ledger: Ledger, plan: Plan) -> bool:
        since = self._deps.clock.now() - self._deps.policy_of(plan).decline_rest
        declined = ledger.declined_since(plan.mode, plan.account_id, since)
        mine = {target.instrument_id for target in plan.targets}
        return not mine.isdisjoint(target.instrument_id for each in declined for target in each.plan.targets)

    def _approved(self, ledger: Ledger, plan: Plan) -> ApprovedBy:
        today = new_york_day(self._deps.market_clock.now())
        return lambda name: ledger.approved_by(name, plan.mode, plan.account_id, today, beside=plan.plan_id)

    def _followed(self, chain: RosterChain) -> RosterChain:
        if self._known and self._known not in chain.heads:
            raise Refused(
                "The approvers were replaced without a signature of theirs.",
                hint="Nothing was sent by this server. A person must look: run positions-mcp operations verify, then "
                "restart.",
            )
        self._known = chain.head
        return chain

    def _check_plan(self, operation: Operation, caller: str) -> None:
        plan = operation.plan
        if plan.mode is not self._deps.mode:
            raise Refused(f"Plan {plan.plan_id} is for {plan.mode.shown}.")
        if plan.caller != caller or plan.flatten:
            raise Refused(f"Plan {plan.plan_id} was made by another caller.")
        self._deps.check_account(plan.account_id)

    def _check_in_time(self, operation: Operation) -> None:
        """By the time it is now: who wants to send may have waited for the store."""
        if operation.decision is None or self._deps.clock.now() >= operation.decision.expires_at:
            raise Overtaken(f"The approval of {operation.operation_id} lapsed before it was used.", hint="Plan again.")

    def _check_signed(self, operation: Operation, ledger: Ledger, channel: Channel) -> None:
        decision, deps = operation.decision, self._deps
        if decision is None or decision.channel is not channel:
            raise Refused(f"Plan {operation.operation_id} was not approved at the {channel}.", hint="Nothing was sent.")
        chain, today = self._followed(ledger.rosters()), new_york_day(deps.market_clock.now())
        expect_approved(deps.policy_of(operation.plan), operation, chain, ledger, today=today)
        self._check_in_time(operation)
