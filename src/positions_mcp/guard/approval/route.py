"""Who may decide a plan: a form in the client, the supervisor's page, or nobody until a person has done something."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.plan import Frozen, Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.guard.policy.findings import Verdict


class Rung(StrEnum):
    """The rungs of the ladder, the highest first."""

    MANDATE = "mandate"
    """A person signed in advance: nobody is asked."""
    ELICITATION = "elicitation"
    DESK = "desk"
    REFUSE = "refuse"


class Step(Frozen):
    """The rung that applies, why, and what to tell people. `reason` is empty for elicitation."""

    rung: Rung
    reason: str = ""
    for_the_person: str = ""
    """How the person decides, where that is not in the client: one sentence."""
    link: str = ""
    """The plan's page, where there is one."""
    mandate: str = ""
    """The id of the mandate that covers it."""


def rung_for(
    verdict: Verdict,
    policy: Policy,
    *,
    mode: Mode,
    can_elicit: bool,
    can_open_page: bool,
    approver_set: bool,
    declined_at: datetime | None,
    why_no_form: str,
    now: datetime,
    mandate: Mandate | None = None,
) -> Step:
    """The highest rung that applies. Nothing a caller passes as a tool argument changes it.

    `can_open_page`: the client opens links, there is a page to open, and somebody can decide there. `declined_at` is
    when these targets were last declined, `why_no_form` why this caller may not ask by a form now (empty if it may).
    `mandate` covers the plan: but for what a person has just declined, nobody is asked.
    """
    if verdict.is_refused:
        return Step(rung=Rung.REFUSE, reason=" ".join(finding.message for finding in verdict.refusals))
    why_desk = [finding.message for finding in verdict.needs_desk]
    rests = declined_at is not None and now < declined_at + policy.decline_rest
    if mandate is not None and not rests:
        said = f"Under mandate {mandate.mandate_id}, signed by {mandate.signed_by}."
        return Step(rung=Rung.MANDATE, reason=said, mandate=mandate.mandate_id)
    if declined_at is not None and rests:
        at = f"{moment(declined_at)}{mode.real_clock}"
        minutes = int(policy.decline_rest.total_seconds() // 60)
        why_desk.append(
            f"A person declined these targets at {at}; they are not asked about again here for {minutes} minutes."
        )
    if why_no_form:
        why_desk.append(why_no_form)
    if not can_elicit and not can_open_page:
        why_desk.append("The question cannot be shown to a person in this client.")
    if approver_set and (why_desk or can_open_page):
        return Step(rung=Rung.DESK, reason=" ".join(why_desk))
    if not why_desk:
        return Step(rung=Rung.ELICITATION)
    return Step(
        rung=Rung.REFUSE,
        reason=" ".join([*why_desk, "No approver is set up, so nobody can decide on the supervisor's page."]),
    )
