"""What both previews say of a plan: the policy's verdict, its findings, and how to go on."""

from __future__ import annotations

from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.text import label
from positions_mcp.guard.approval.questions import Rung, Step
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Rule, Verdict
from positions_mcp.tools._call import Call
from positions_mcp.tools._reports import output_of

_MOST_FINDINGS = 20


def has_limits(policy: Policy) -> bool:
    """Whether any limit in dollars is in force, so that a plan's notional matters."""
    return any(each is not None for each in (policy.max_notional, policy.max_daily_notional, policy.desk_above))


def policy_of(verdict: Verdict) -> str:
    """`refused`, `needs the supervisor` or `allowed`."""
    return "refused" if verdict.is_refused else "needs the supervisor" if verdict.needs_desk else "allowed"


def findings_of(verdict: Verdict) -> list[str]:
    """Each finding in its own words: the gravest first, and of many how many more."""
    said = [f"{finding.severity}: {finding.message}" for finding in verdict.findings[:_MOST_FINDINGS]]
    more = len(verdict.findings) - len(said)
    return [*said, f"{more} more, none graver; the person's question has every warning"] if more else said


async def standing(call: Call, planned: Planned) -> tuple[str, str]:
    """That nothing was sent, and the call that goes on; of a plan of the same arguments under way, how it stands."""
    plan = planned.operation.plan
    if planned.operation.stage.is_open:
        step = await call.context.guard.step(planned, can_elicit=call.can_show_form)
        stands = f"Nothing was sent. {plan.said_of_replaced}".rstrip()
        verdict = planned.verdict or Verdict()
        if verdict.is_refused:
            return stands, f"It cannot be sent as it is, for what is refused above.{_remedy(plan, verdict)}"
        return stands, next_of(plan, step, verdict)
    now = output_of(call.context, await call.context.guard.operation(plan.plan_id))
    return f"It is under way: {now.summary}", now.next


def _remedy(plan: Plan, verdict: Verdict) -> str:
    """What to preview instead where the plan would take the cover from under a short option; empty otherwise."""
    roots = sorted({_underlying(target.symbol) for target in plan.closes})
    if not roots or not any(finding.rule is Rule.UNCOVERED for finding in verdict.refusals):
        return ""
    if len(roots) > 1:
        return " Preview the short options that it would leave uncovered together with these."
    return f' Preview together what covers and what is covered: preview_close with underlying="{label(roots[0])}".'


def _underlying(symbol: str) -> str:
    contract = parse_option_symbol(symbol)
    return contract.underlying_root if contract else symbol


def next_of(plan: Plan, step: Step, verdict: Verdict) -> str:
    """The call that goes on, who then decides, and why as far as the findings do not say it already."""
    call, why = f"{plan.kind} with plan_id={plan.plan_id}", step.reason
    for finding in verdict.needs_desk[:_MOST_FINDINGS]:
        why = why.replace(finding.message, "", 1).strip()
    because = " ".join(part for part in (why, step.for_the_person) if part)
    if step.rung is Rung.MANDATE:
        return f"{call} sends it at once, without a question. {step.reason}"
    if step.rung is Rung.ELICITATION:
        return f"{call} asks a person in this client."
    if step.rung is Rung.DESK:
        return f"{call} waits for the supervisor. {because}"
    return f"It cannot be sent now. {because}".strip()
