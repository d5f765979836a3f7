"""Small parts of what the desk's page shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.sessions import start_of_new_york_day
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.text import first_of, label
from positions_mcp.guard.deciding import digest_of_halt
from positions_mcp.guard.dependencies import Dependencies

_MOST_NAMED = 5


def closed_share(operation: Operation, book: Book) -> tuple[Decimal, Decimal]:
    """Dollars of the plan's targets and of the whole book, each as absolute market value."""
    planned = {target.instrument_id for target in operation.plan.targets}
    values = {p.instrument_id: abs(p.value) for p in book.positions if p.value is not None}
    part = exact_sum(value for key, value in values.items() if key in planned)
    return part, exact_sum(values.values())


def not_known(plan: Plan) -> list[str]:
    """What a person should know that nobody knows, beside what the warnings say."""
    doubtful = [each for each in plan.targets if not each.priced]
    # What has a value is not counted in full for what it delivers, or what it obliges to.
    has_value = [each.is_adjusted or getattr(each, "value", None) is not None for each in doubtful]
    unpriced = [label(each.called) for each, valued in zip(doubtful, has_value, strict=True) if not valued]
    obliging = [label(each.called) for each, valued in zip(doubtful, has_value, strict=True) if valued]
    sized = [label(target.called) for target in plan.closings if not isinstance(target, CloseTarget)]
    said = []
    if unpriced:
        said.append(f"No price of {first_of(unpriced, _MOST_NAMED)}: the notional may be larger.")
    if obliging:
        said.append(f"What is owed or delivered by {first_of(obliging, _MOST_NAMED)}: the notional may be larger.")
    if sized:
        said.append(f"How much is held of {first_of(sized, _MOST_NAMED)}: whatever is held when it is sent.")
    return said


def halts_seen(halts: Sequence[Halt], member: Member) -> list[dict[str, str]]:
    """The halts that stand, but for those of accounts that somebody does not see."""
    return [_halt(halt) for halt in halts if member.sees(halt.account_id)]


def _halt(halt: Halt) -> dict[str, str]:
    said = {"scope": "" if halt.is_of_everything else halt.scope, "reason": halt.reason, "by": halt.by}
    return {**said, "at": halt.at.isoformat(), "digest": digest_of_halt(halt)}


def limit_of(value: object) -> str | None:
    """A limit as it is shown; None where there is none."""
    return None if value is None else f"{value:,}"


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
