"""Whether what a decision carries was signed, by who may, and whether somebody may do what they are about to sign.

What is sent is checked again where it is taken for sending: exactly this yes, to exactly this plan (D-04, D-05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Self

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Decision, Operation, Reservation
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import Member, Roster, persons_needed, why_not_approve
from positions_mcp.domain.operation.statements import Purpose, SignedStatement
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import Ledger, Signing
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
        """All of it."""
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
class Yes:
    """What a yes would be."""

    is_enough: bool
    """Whether it takes no other person's, or theirs is there."""
    first: SignedStatement | None = None
    """The first person's, where this one is the second."""
    void: SignedStatement | None = None
    """A first one that counts no more: who said it was removed, or changed credentials."""


def may_say_yes(deps: Dependencies, operation: Operation, name: str) -> Yes:
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
        return Yes(is_enough=True)
    said = store.first_yes(operation.operation_id)
    if said is None or (who := first_of_two(roster, plan, said)) is None:
        return Yes(is_enough=False, void=said)
    if who.name == member.name:
        raise Refused(f"{member.name} has said yes already: another person has to.", hint="Nothing was decided.")
    return Yes(is_enough=True, first=said)


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
