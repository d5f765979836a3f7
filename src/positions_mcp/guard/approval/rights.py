"""Whether somebody may do what they are about to sign. What is sent is checked again where it is taken for sending."""

from __future__ import annotations

from collections.abc import Sequence

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.permission import persons_needed, why_not_approve
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.dependencies import Dependencies


def may_say_yes(deps: Dependencies, operation: Operation, name: str) -> tuple[bool, SignedStatement | None]:
    """Whether this yes is enough alone, and the first person's where it is the second. Blocking.

    Raises Refused where it may not be said.
    """
    plan, store, today = operation.plan, deps.store, new_york_day(deps.market_clock.now())
    roster = store.rosters().roster
    member = roster.member(name) if roster else None
    if roster is None or member is None:
        raise Refused(f"{name} is no approver any more.", hint="Nothing was decided.")
    approved = store.approved_by(member.name, plan.mode, plan.account_id, today)
    if why := why_not_approve(roster, member, plan, approved):
        raise Refused(why, hint="Nothing was decided.")
    alone = persons_needed(deps.policy_of(plan), plan, store.used(plan.mode, plan.account_id, today)) == 1
    first = None if alone else store.first_yes(operation.operation_id)
    if first is not None and first.statement.name == member.name:
        raise Refused(f"{member.name} has said yes already: another person has to.", hint="Nothing was decided.")
    return alone, first


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
