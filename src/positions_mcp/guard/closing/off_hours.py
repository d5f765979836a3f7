"""Real money is not closed by a form outside the regular session: what an order then does is not documented."""

from __future__ import annotations

from collections.abc import Iterator

from positions_mcp.domain.account.sessions import minute
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.guard.closing.hours import Hours
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def findings_on_hours(plan: Plan, hours: Hours) -> Iterator[Finding]:
    """Outside the regular session the supervisor decides in live; on paper, where nothing is lost, a form will do.

    A person who flattens is told of the session by the question, and nothing stands against it.
    """
    market = hours.market
    if plan.mode is Mode.PAPER or plan.flatten or market.is_open:
        return
    yield Finding(
        rule=Rule.OFF_HOURS,
        severity=Severity.DESK,
        limit="closes in the regular session",
        seen="the market is closed",
        message=f"The market is closed until {minute(market.next.opens)}: an order may wait until then and fill at "
        "another price, so the supervisor decides.",
    )
