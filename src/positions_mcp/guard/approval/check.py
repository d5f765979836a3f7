"""Whether an approval may be used: exactly this yes, to exactly this plan, signed by who may (G-01, G-02, D-04, D-05).

The checks run within the transaction that claims the operation, on what is stored then. The same rules tell beforehand
whether somebody may do what they are about to sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Self

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.coverage import why_not_by_size, why_not_by_terms, why_not_by_time
from positions_mcp.domain.operation.mandate import MandateUse, Standing
from positions_mcp.domain.operation.operation import Decision, Operation, Reservation
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.roster import Member, Roster, persons_needed, why_not_approve
from positions_mcp.domain.operation.statements import Purpose, SignedStatement
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.approval.mandates import (
    ApprovedBy,
    UnderMandate,
    decision_under,
    expect_covered,
    expect_on_word_of_signer,
    holds_for,
)
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Ledger, Permitting, Signing
from positions_mcp.signing.release_1 import is_approved_by
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.signing.statements import signer


@dataclass(frozen=True, slots=True)
class Size:
    """Dollars of one operation that is being sent."""

    sent: Decimal
    to_come: Decimal

    @property
    def whole(self) -> Decimal:
        return exact_sum([self.sent, self.to_come])

    @classmethod
    def of(cls, operation: Operation, going: Mapping[int, Reservation]) -> Self:
        """Of an operation some rows of which are about to go, for what is to be reserved of them."""
        rows = list(zip(operation.plan.targets, operation.rows, strict=True))
        others = [(target, row) for target, row in rows if row.position not in going]
        sent = [row.reserved for _, row in others]
        waiting = [target.measure for target, row in others if row.state is RowState.NOT_SENT]
        return cls(exact_sum(sent), exact_sum([*waiting, *(each.measure for each in going.values())]))


APPROVE = "approve"
"""The decision of a statement that says yes."""
_LOOK = "Nothing was sent. The store may have been altered: run positions-mcp operations verify."


def expect_approved(
    policy: Policy, operation: Operation, chain: RosterChain, ledger: Ledger, *, today: date, size: Size | None = None
) -> None:
    """Raise Refused unless as many people as it takes signed exactly this plan, and each of them may approve it.

    `size` is what it comes to by now, as soon as something of it is sent.
    """
    roster, plan, decision = chain.roster, operation.plan, operation.decision
    if roster is None or decision is None:
        raise Refused("No approver is set up.", hint="Nothing was sent.")
    size = size or Size(sent=Decimal(0), to_come=plan.measure)
    members = _signers(roster, chain, plan, decision)
    needed = persons_needed(policy, plan, ledger.used(plan.mode, plan.account_id, today), size.to_come)
    if len(members) < needed:
        raise Refused(
            f"It takes {needed} people to approve {plan.plan_id}, and {members[0].name} alone did.",
            hint="Nothing was sent.",
        )
    for member in members:
        approved = ledger.approved_by(member.name, plan.mode, plan.account_id, today, beside=plan.plan_id)
        if why := why_not_approve(roster, member, plan, approved, size.whole):
            raise Refused(why, hint="Nothing was sent.")


def first_of_two(roster: Roster, plan: Plan, signed: SignedStatement | None) -> Member | None:
    """Who said a first yes that counts: still a member, with that credential. None where it counts no more."""
    if signed is None or signed.statement.beside:
        return None
    try:
        return _signer_of_yes(roster, plan, signed)
    except Refused:
        return None


def _signers(roster: Roster, chain: RosterChain, plan: Plan, decision: Decision) -> list[Member]:
    """Who signed a decision: one person, or two. Raises Refused where a signature is not what it has to be."""
    if decision.signed is None:
        return [_signer_in_release_1(roster, chain, plan, decision)]
    said = decision.signed.statement
    told = decision.by, decision.decided_at, decision.expires_at, decision.note, decision.origin
    beside = decision.first.digest if decision.first else ""
    if told != (decision.signed.by, said.decided_at, said.expires_at, said.note, said.origin) or said.beside != beside:
        raise Refused(f"What was signed is not the decision about {plan.plan_id}.", hint=_LOOK)
    members = [_signer_of_yes(roster, plan, decision.signed)]
    if decision.first is not None:
        members.insert(0, _signer_of_yes(roster, plan, decision.first))
        if decision.first.statement.beside or members[0].name == members[1].name:
            raise Refused(f"Two different people have to approve {plan.plan_id}.", hint="Nothing was sent.")
    return members


def _signer_of_yes(roster: Roster, plan: Plan, signed: SignedStatement) -> Member:
    said = signed.statement
    about = said.purpose, said.decision, said.mode, said.account, said.operation, said.digest
    if about != (Purpose.APPROVAL, APPROVE, plan.mode, plan.account_id, plan.plan_id, plan.digest):
        raise Refused(f"What was signed is not an approval of {plan.plan_id}.", hint=_LOOK)
    if said.expires_at is None or said.expires_at < said.decided_at:
        raise Refused(f"The approval of {plan.plan_id} has no end.", hint=_LOOK)
    return signer(roster, signed)


def _signer_in_release_1(roster: Roster, chain: RosterChain, plan: Plan, decision: Decision) -> Member:
    """Release 0.1.0's signature says neither who nor where, so it is none once a roster was signed."""
    unsigned = f"The approval of {plan.plan_id} is not signed by the approver."
    if chain.links or not chain.approvers or not is_approved_by(chain.approvers[-1], plan, decision):
        raise Refused(unsigned, hint=_LOOK)
    return roster.members[0]


@dataclass(frozen=True, slots=True)
class ProposedYes:
    """What a yes would be."""

    is_enough: bool
    """Whether it takes no other person's, or theirs is there."""
    first: SignedStatement | None = None
    """The first person's, where this one is the second."""
    void: SignedStatement | None = None
    """A first one that counts no more: who said it was removed, or changed credentials."""


def may_say_yes(deps: Dependencies, operation: Operation, name: str) -> ProposedYes:
    """What somebody's yes would be. Blocking. Raises Refused where it may not be said."""
    plan, store, today = operation.plan, deps.store, new_york_day(deps.market_clock.now())
    roster = store.rosters().roster
    member = roster.member(name) if roster else None
    if roster is None or member is None:
        raise Refused(f"{name} is no approver any more.", hint="Nothing was decided.")
    approved = store.approved_by(member.name, plan.mode, plan.account_id, today, beside=plan.plan_id)
    if why := why_not_approve(roster, member, plan, approved):
        raise Refused(why, hint="Nothing was decided.")
    if persons_needed(deps.policy_of(plan), plan, store.used(plan.mode, plan.account_id, today)) == 1:
        return ProposedYes(is_enough=True)
    said = store.first_yes(operation.operation_id)
    if said is None or (who := first_of_two(roster, plan, said)) is None:
        return ProposedYes(is_enough=False, void=said)
    if who.name == member.name:
        raise Refused(f"{member.name} has said yes already: another person has to.", hint="Nothing was decided.")
    return ProposedYes(is_enough=True, first=said)


def signing(signed: SignedStatement, may: Callable[[Member], None]) -> Signing:
    """What was signed, with what asks again who signed it and whether they may, where it is used."""

    def check(ledger: Ledger) -> None:
        roster = ledger.rosters().roster
        if roster is None:
            raise Refused("No approver is set up.", hint="Nothing was decided.")
        may(signer(roster, signed))

    return Signing(signed, check)


def may_resume(member: Member, halts: Sequence[Halt]) -> None:
    """Raise Refused unless a member may end all of these halts."""
    for halt in halts:
        if halt.account_id is None:
            if not member.resumes_everywhere:
                raise Refused(f"{member.name} may not end a halt of every account.", hint="It stays halted.")
        else:
            _expect_right(member, halt.account_id, "end a halt", "It stays halted.")


def may_withdraw(member: Member, account_id: AccountId) -> bool:
    """Whether a member may cancel the program's own closes in an account: as to flatten, who approves there at all."""
    rights = member.rights_in(account_id)
    return rights is not None and rights.approves != 0


def may_settle(member: Member, account_id: AccountId) -> None:
    """Raise Refused unless a member may settle what became of a request in an account."""
    _expect_right(member, account_id, "settle", "Nothing was settled.")


def _expect_right(member: Member, account_id: AccountId, what: str, consequence: str) -> None:
    rights = member.rights_in(account_id)
    if rights is None or not rights.resumes_and_settles:
        raise Refused(f"{member.name} may not {what} in account {account_id}.", hint=consequence)


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

    def of_mandate(self, mandate_id: str, caller: str) -> UnderMandate:
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

        return UnderMandate(mandate_id, permit)

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

        Raises Refused where they were replaced otherwise since then, StoreUnavailable where the store itself shows it.
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
                hint="Nothing was sent by this server. A person must look: run `positions-mcp operations verify`, then "
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
