"""Where it takes two people: no form will do, and the plan says at once where there are not enough of them (D-05)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import Roster, able, persons_needed
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def findings_on_persons(policy: Policy, plan: Plan, roster: Roster | None, used_today: Decimal) -> Iterator[Finding]:
    """Two people decide at the desk or a terminal; where fewer could, nobody is asked."""
    needed = persons_needed(policy, plan, used_today)
    if needed == 1:
        return
    those = able(roster, plan) if roster else ()
    enough = len(those) >= needed
    limit = "close-all" if plan.kind.is_account_wide and policy.two_persons_for_close_all else "this size"
    message = f"It takes two different people to approve {limit}, on the supervisor's page or in a terminal."
    if not enough:
        names = f": {', '.join(member.name for member in those)}" if those else ""
        message += f" {len(those)} could{names}. Another one is set up with: positions-mcp approver add NAME."
    yield Finding(
        rule=Rule.TWO_PERSONS,
        severity=Severity.DESK if enough else Severity.REFUSE,
        limit="two people",
        seen=f"{len(those)} who may approve it",
        message=message,
    )
