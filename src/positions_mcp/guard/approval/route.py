"""Who may decide a plan: a form in the client, the desk, or nobody until a person has done something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from positions_mcp.domain.operation.plan import Frozen, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.guard.policy.findings import Verdict


class Rung(StrEnum):
    """The rungs of the ladder."""

    ELICITATION = "elicitation"
    DESK = "desk"
    REFUSE = "refuse"


class Step(Frozen):
    """The rung that applies, why, and what to tell people. `reason` is empty for elicitation."""

    rung: Rung
    reason: str = ""
    for_the_person: str = ""
    """What the person has to run, where that is needed."""


def rung_for(
    plan: Plan,
    verdict: Verdict,
    policy: Policy,
    *,
    can_elicit: bool,
    approver_set: bool,
    declined_at: datetime | None,
    now: datetime,
    command: Callable[[str], str],
) -> Step:
    """The highest rung that applies. Nothing a caller passes as a tool argument changes it.

    `command` words a command for a person to type.
    """
    if verdict.is_refused:
        return Step(rung=Rung.REFUSE, reason=" ".join(finding.message for finding in verdict.refusals))
    why_desk = [finding.message for finding in verdict.needs_desk]
    if declined_at is not None and now < declined_at + policy.decline_rest:
        minutes = int(policy.decline_rest.total_seconds() // 60)
        why_desk.append(
            f"A person declined these targets at {declined_at:%H:%M} UTC; they are not asked about again here for "
            f"{minutes} minutes."
        )
    if not can_elicit:
        why_desk.append("This client cannot show the question to a person.")
    if not why_desk:
        return Step(rung=Rung.ELICITATION)
    if approver_set:
        return Step(
            rung=Rung.DESK,
            reason=" ".join(why_desk),
            for_the_person=f"To decide, the supervisor runs: {command(f'approve {plan.plan_id}')}",
        )
    return Step(
        rung=Rung.REFUSE,
        reason=" ".join([*why_desk, "No approver is set up, so nobody can decide at the desk."]),
        for_the_person=f"Once, the supervisor runs in a terminal: {command('approver init')}",
    )
