"""What each agent did today in each account of the page, in sums."""

from __future__ import annotations

from datetime import timedelta

from positions_mcp.domain.account.sessions import start_of_new_york_day
from positions_mcp.domain.operation.roster import Member
from positions_mcp.guard.dependencies import Dependencies


def callers_today(deps: Dependencies, member: Member) -> list[dict[str, str | int]]:
    """One line for each caller and account that somebody sees, of the New York day of the real clock. Blocking."""
    since = start_of_new_york_day(deps.clock.now()) - timedelta(microseconds=1)
    found = (
        deps.store.by_caller(deps.mode, account, since)
        for account in sorted(deps.policy.accounts)
        if member.sees(account)
    )
    return [
        {
            "account": str(each.account_id),
            "caller": each.caller,
            "operations": each.operations,
            "rows_sent": each.rows_sent,
            "notional": f"{each.notional:,f}",
            "declined": each.declined,
            "in_doubt": each.in_doubt,
        }
        for of_account in found
        for each in of_account
    ]
