"""The question a person decides: every word of it comes from the frozen plan, so it is the same however often asked."""

from __future__ import annotations

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.text import quoted
from positions_mcp.guard.kinds import WORDS


def question(plan: Plan) -> str:
    """Everything the decision needs: mode, account, each order, total, open orders, session, warnings, plan id."""
    until = f"{moment(plan.expires_at)}{plan.mode.real_clock}"
    words, money = WORDS[plan.kind], "real money" if plan.mode is Mode.LIVE else "no real money"
    return "\n".join(
        [
            f"{plan.mode.shown} account {plan.account_id} ({money}): {words.heading(plan)}",
            *(f"{number}. {line}" for number, line in enumerate(words.lines(plan), 1)),
            *words.terms(plan),
            *(f"Warning: {warning}" for warning in plan.warnings),
            *([plan.said_of_replaced] if plan.replaces else []),
            *([f"The caller says why: {quoted(plan.purpose)}"] if plan.purpose else []),
            f"Plan {plan.plan_id}, asked for by {quoted(plan.caller, 80)}, valid until {until}.",
        ]
    )
