"""How often a caller may ask (G-23): operations are counted by the minute and by the New York day.

Each counts once, when it is put before a person, or when it is sent without having been. It is counted in the store,
which all its servers share, in the transaction that writes it. What a person decided by themselves, and what a person
flattens, is never refused here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from positions_mcp.domain.account.sessions import moment, next_new_york_day, start_of_new_york_day
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import Ledger

MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_OF_A_PERSON = (Channel.DESK, Channel.TERMINAL)


def check_rates(deps: Dependencies, ledger: Ledger, operation: Operation) -> None:
    """Raise Refused where its caller has asked for as much as it may; it says when it may again."""
    now, plan, decision = deps.clock.now(), operation.plan, operation.decision
    if plan.flatten or (decision is not None and decision.channel in _OF_A_PERSON):
        return
    policy = deps.policy_of(plan)
    today = start_of_new_york_day(now) - _INSTANT
    for most, since, per in (
        (policy.max_operations_per_minute, now - MINUTE, "minute"),
        (policy.max_operations_per_day, today, "New York day"),
    ):
        if most is None:
            continue
        first = ledger.counted_since(plan.mode, plan.account_id, plan.caller, since, most)
        if first is None:
            continue
        again = _whole_second(first + MINUTE) if per == "minute" else next_new_york_day(max(first, now))
        raise Refused(
            f"This caller has asked for {most} operations in account {plan.account_id} within a {per}, and no more may "
            f"be: again from {moment(again)}{plan.mode.real_clock} on.",
            hint=f"Nothing was sent. Ask again then, for all at once where one plan can close several. Plan "
            f"{plan.plan_id} stays open until {moment(plan.expires_at)}{plan.mode.real_clock}.",
        )


def _whole_second(instant: datetime) -> datetime:
    """The instant as it is said: never earlier."""
    return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + timedelta(seconds=1)
