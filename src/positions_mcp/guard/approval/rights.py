"""Whether somebody may do what they are about to sign. What is sent is checked again where it is taken for sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import Member, persons_needed, why_not_approve
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.approval.statements import first_of_two
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import Ledger, Signing
from positions_mcp.signing.statements import signer


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
