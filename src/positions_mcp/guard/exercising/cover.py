"""What instructions, or the cancel of one, leave without cover and give up, against sending nothing (G-12)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from positions_mcp.domain.exercise.words import less_cover
from positions_mcp.domain.exercise.yardstick import AgainstNothing, MoreShort
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.exposure import Exposed
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.evening import facts_of, with_batch, without
from positions_mcp.guard.policy.cover import uncovered
from positions_mcp.guard.policy.findings import Finding, Rule, Severity

_DEPENDING = "Depending on the close, or on what holders of short options near it decide"


def findings_on_submit(plan: Plan, account: Account, deps: Dependencies) -> Iterator[Finding]:
    """An instruction may not leave less cover than sending nothing does, and giving up money needs the desk."""
    compared = with_batch(facts_of(account, deps, plan.plan_id, plan.instructions), plan.instructions)
    policy = deps.policy_of(plan)
    yield from _on_cover(policy, compared)
    yield from _on_money(policy, plan.mode, compared)


def findings_on_cancel(plan: Plan, account: Account, deps: Dependencies) -> Iterator[Finding]:
    """Nor may the cancel of one leave less cover than the instruction does where it stands."""
    (target,) = plan.cancels
    yield from _on_cover(deps.policy_of(plan), without(facts_of(account, deps), target))


def _on_cover(policy: Policy, compared: AgainstNothing) -> Iterator[Finding]:
    for was, now in compared.worse:
        yield _uncovered(policy, was, now, "It would leave", Severity.REFUSE)
    for was, now in compared.perhaps_worse:
        yield _uncovered(policy, was, now, f"{_DEPENDING}, it would leave", Severity.DESK)
    for short in compared.more_short_shares:
        if short.by_assignment:
            yield _short_by_assignment(policy, short)


def _uncovered(policy: Policy, was: Exposed, now: Exposed, would: str, severity: Severity) -> Finding:
    message = f"{would} {less_cover(was, now)} than if nothing is sent."
    return uncovered(policy, was, now, message, severity=severity, compared="if nothing is sent")


def _short_by_assignment(policy: Policy, short: MoreShort) -> Finding:
    """What covers a short call that is assigned tonight would be gone by then."""
    doubt = "It" if short.is_certain else f"{_DEPENDING}, it"
    shares = f"{plain(short.shares)} more {label(short.name)} shares short"
    severity = Severity.REFUSE if short.is_certain else Severity.DESK
    return Finding(
        rule=Rule.UNCOVERED,
        severity=Severity.NOTE if policy.allow_uncovered else severity,
        limit="no more shares short than if nothing is sent",
        seen=shares,
        message=f"{doubt} would leave {shares} than if nothing is sent, because short calls are assigned tonight.",
    )


def _on_money(policy: Policy, mode: Mode, compared: AgainstNothing) -> Iterator[Finding]:
    """Giving up more than a stated amount is decided at the desk; live, so is what nothing bounds."""
    limit, least, most = policy.give_up_above, compared.gives_up_least, compared.gives_up_most
    if limit is None or (most is not None and most <= limit):
        return
    needs_desk = mode is Mode.LIVE or (least if most is None else most) > limit
    yield Finding(
        rule=Rule.GIVEN_UP,
        severity=Severity.DESK if needs_desk else Severity.NOTE,
        limit=f"{plain(limit)} given up",
        seen="not known" if most is None else plain(most),
        message=f"{_dollars(least, most)} given up against sending nothing"
        + (f"; above ${limit:,f} the supervisor decides." if needs_desk else "."),
    )


def _dollars(least: Decimal, most: Decimal | None) -> str:
    if most is None:
        return f"${least:,.2f} or more is" if least else "An amount that is not known may be"
    return f"${most:,.2f} {'is' if least == most else 'may be'}"
