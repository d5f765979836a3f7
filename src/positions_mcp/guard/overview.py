"""Where an account stands with the guard: limits, what is used of them, what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import Roster
from positions_mcp.domain.operation.search import EVERYBODY, Viewer
from positions_mcp.domain.operation.supervision import Halt, StoreStatus
from positions_mcp.guard.approval.mandates import why_not_signed
from positions_mcp.guard.dependencies import Dependencies


class Use(Frozen):
    """What an account has used of today's limits, in dollars, and what is in doubt or still open there."""

    account_id: AccountId
    used_today: Decimal
    in_doubt: tuple[str, ...]
    """Operations with an unknown outcome, or being sent."""
    following: tuple[str, ...]
    """Operations submitted and not yet known to be closed."""


class GuardStatus(Frozen):
    """The write half of the trading status."""

    policy: Policy
    use: tuple[Use, ...]
    halts: tuple[Halt, ...]
    approver_set: bool
    store: StoreStatus
    mandates: tuple[Standing, ...] = ()
    """Those that hold now on the word of who signed them, of the accounts that may be used."""


def overview(deps: Dependencies, viewer: Viewer = EVERYBODY) -> GuardStatus:
    """The status now, as far as `viewer` may know of it. Blocking."""
    store = deps.store
    roster = store.rosters().roster
    return GuardStatus(
        policy=deps.policy,
        use=tuple(_use(deps, each, viewer) for each in sorted(deps.policy.accounts) if viewer.knows(each)),
        halts=tuple(halt for halt in store.halts() if viewer.is_stopped_by(halt)),
        approver_set=roster is not None,
        store=store.status(),
        mandates=tuple(each for each in _held(deps, roster) if viewer.knows(each.mandate.terms.account_id)),
    )


def _held(deps: Dependencies, roster: Roster | None) -> Iterator[Standing]:
    now = deps.clock.now()
    for standing in deps.store.mandates(ending_after=now):
        mandate, terms = standing.mandate, standing.mandate.terms
        of_this = terms.mode is deps.mode and terms.account_id in deps.policy.accounts
        if of_this and mandate.holds_at(now) and not why_not_signed(mandate, roster):
            yield standing


def _use(deps: Dependencies, account_id: AccountId, viewer: Viewer) -> Use:
    unfinished = [op for op in deps.store.unfinished(deps.mode, account_id) if viewer.sees(op.plan)]
    doubtful = [op for op in unfinished if any(row.is_not_known for row in op.rows)]
    return Use(
        account_id=account_id,
        used_today=deps.store.used(deps.mode, account_id, new_york_day(deps.market_clock.now())),
        in_doubt=tuple(op.operation_id for op in doubtful),
        following=tuple(op.operation_id for op in unfinished if op not in doubtful),
    )
