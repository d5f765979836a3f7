"""Whether a member may approve a plan, and how many people it takes (D-05)."""

from __future__ import annotations

from decimal import Decimal

from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import ANYTHING, Member, Roster
from positions_mcp.domain.operation.supervision import without_hash

TWO = 2


def persons_needed(policy: Policy, plan: Plan, used_today: Decimal, to_come: Decimal | None = None) -> int:
    """How many different people have to approve a plan: one, or two.

    The threshold is cumulative over the account's day, so that splitting a plan gains nothing: `to_come` is what of the
    plan is not in `used_today` yet, all of it unless it is said. A plan whose size is not fully known counts as one
    above it. A person who flattens decides alone.
    """
    if plan.flatten:
        return 1
    if policy.two_persons_for_close_all and plan.kind.is_account_wide:
        return TWO
    above = policy.two_persons_above
    to_come = plan.measure if to_come is None else to_come
    if above is None or (_is_priced(plan) and exact_sum([used_today, to_come]) <= above):
        return 1
    return TWO


def why_not_approve(
    roster: Roster, member: Member, plan: Plan, approved_today: Decimal, size: Decimal | None = None
) -> str:
    """Why a member may not approve a plan, in a sentence; empty where they may.

    `approved_today` is what else was sent, or is being sent, on their word in its account today; `size` what the plan
    comes to by now. Somebody who flattens needs to be allowed to approve there at all: no amount stands in the way out.
    """
    rights = member.rights_in(plan.account_id)
    if rights is None or rights.approves == 0:
        return f"{member.name} may not approve in account {plan.account_id}."
    if plan.flatten:
        return ""
    if why := why_not_own(roster, member, plan):
        return why
    if rights.approves == ANYTHING:
        return ""
    if not _is_priced(plan):
        return f"{member.name} may approve up to ${rights.approves:,f} a day, and a price is missing: it may be more."
    size = plan.measure if size is None else size
    if exact_sum([approved_today, size]) > rights.approves:
        return (
            f"{member.name} may approve up to ${rights.approves:,f} a day in account {plan.account_id}: "
            f"${approved_today:,f} is used, and this is ${size:,f}."
        )
    return ""


def why_not_own(roster: Roster, member: Member, plan: Plan) -> str:
    """That a member asked for the plan themselves, where others could approve it; empty otherwise."""
    if len(roster.members) > 1 and asks_as(member, plan.caller):
        return f"{member.name} asked for it (as {plan.caller}), and nobody approves what they asked for."
    return ""


def asks_as(member: Member, caller: str) -> bool:
    """Whether a caller is this person: a token's subject or a user of the system that is one of their names."""
    whole, said = caller.casefold(), without_hash(caller).casefold()
    names = [name.casefold() for name in (member.name, *member.callers)]
    return any({whole, said} & {name, f"token of {name}"} or said.startswith(f"{name} through ") for name in names)


def able(roster: Roster, plan: Plan) -> tuple[Member, ...]:
    """Those who could approve a plan, whatever else they have approved today."""
    return tuple(member for member in roster.members if not why_not_approve(roster, member, plan, Decimal(0)))


def _is_priced(plan: Plan) -> bool:
    return all(target.priced for target in plan.targets)
