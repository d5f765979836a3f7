"""What operations come to, for an answer: gravest first, what is left per target, what to do next; limits used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.sessions import moment, new_york_day
from positions_mcp.domain.batch.rows import BatchReport
from positions_mcp.domain.ids import AccountId, InstructionId
from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.operation import Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import Frozen, Kind, Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import Roster
from positions_mcp.domain.operation.search import EVERYBODY, Viewer
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import Halt, StoreStatus
from positions_mcp.domain.text import clean, quoted
from positions_mcp.guard.approval.check import first_of_two
from positions_mcp.guard.approval.mandates import why_not_signed
from positions_mcp.guard.closing.answer import DEVIATED_BY
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.answer import batch_of
from positions_mcp.guard.kind import RowWords
from positions_mcp.guard.kinds import WORDS
from positions_mcp.ports import Ledger


class LimitUse(Frozen):
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
    use: tuple[LimitUse, ...]
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


def _use(deps: Dependencies, account_id: AccountId, viewer: Viewer) -> LimitUse:
    unfinished = [op for op in deps.store.unfinished(deps.mode, account_id) if viewer.sees(op.plan)]
    doubtful = [op for op in unfinished if any(row.is_not_known for row in op.rows)]
    return LimitUse(
        account_id=account_id,
        used_today=deps.store.used(deps.mode, account_id, new_york_day(deps.market_clock.now())),
        in_doubt=tuple(op.operation_id for op in doubtful),
        following=tuple(op.operation_id for op in unfinished if op not in doubtful),
    )


_GRAVEST_FIRST = (RowState.DEVIATED, RowState.UNKNOWN, RowState.SENDING, RowState.REJECTED)

_NEXT = {
    OperationState.PLANNED: "Nothing was sent. It waits to be asked for.",
    OperationState.AWAITING_APPROVAL: "Nothing was sent. A person has yet to decide.",
    OperationState.APPROVED: "APPROVED, NOT SENT.",
    OperationState.SENDING: "It is being sent: ask again with get_operation.",
    OperationState.SUBMITTED: "Submitted is not closed: follow it with get_operation.",
    OperationState.CLOSED: "Nothing is left of its targets.",
    OperationState.PARTIAL: "Part of it is left: see each row. What is left can be previewed again.",
    OperationState.DECLINED: "Nothing was sent: a person declined.",
    OperationState.EXPIRED: "Nothing was sent: the plan expired undecided. Preview again.",
    OperationState.LAPSED: "Nothing was sent: the approval ended first. Preview again.",
    OperationState.STALE: "Nothing was sent: the account changed after the plan was made. Plan again.",
    OperationState.REFUSED: "Nothing was sent: policy refused it.",
    OperationState.REJECTED: "Nothing was traded: the API rejected it, and each row has the reason.",
    OperationState.UNKNOWN: "Do not send it again: whether it took effect is not known. get_operation reconciles it; "
    "only a person can conclude that it did not (positions-mcp operations settle).",
    OperationState.RECONCILED: "An unknown outcome was settled: see each row.",
}
_NEXT_WHILE_OPEN = "Part of it is left, and orders are still open: follow it with get_operation."
_NEXT_OF_REVERSAL = (
    "Do not close it again before a person has looked at the account's orders: it moved past flat, as when a position "
    "is closed twice, or an option on it was exercised or assigned since."
)


class TargetReport(Frozen):
    """One target: what was planned, what is known, and what is left. Quantities are shares or contracts."""

    symbol: str
    state: RowState
    planned: str
    """`SELL 100`."""
    residual: Decimal | None = None
    """Signed quantity still held when last read; None where it was not read."""
    detail: str = ""
    orders: tuple[SentOrder, ...] = ()
    instruction_id: InstructionId | None = None
    """The server's id of the instruction it made, or is to cancel."""
    resolution: str = ""
    """How an unknown outcome was settled, by whom and on what evidence."""


class OperationReport(Frozen):
    """An operation for an answer. `rows` stand gravest first."""

    operation_id: str
    mode: Mode
    account_id: AccountId
    kind: Kind
    state: OperationState
    headline: str
    alarms: tuple[str, ...] = ()
    """What has to be said before everything else; the headline begins with it."""
    reason: str = ""
    decision: str = ""
    """Who decided, through which channel: `elicitation, client NAME` or `desk, approver …`."""
    rows: tuple[TargetReport, ...]
    next_step: str
    anything_sent: bool | None
    """True, False, or None where an outcome is not known."""
    replaces: str = ""
    """That the plan took the place of an earlier one, in a sentence; empty where it did not."""
    cancel_orders: bool = False
    notional: Decimal = Decimal(0)
    """What counts against the limits, in dollars."""
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    batch: BatchReport | None = None
    """Of a batch of instructions that was sent: the account of every row, in the plan's order."""
    not_followed: str = ""
    """Why the account could not be read again, where it could not."""


def report(operation: Operation, now: datetime, *, not_followed: str = "") -> OperationReport:
    plan, state = operation.plan, operation.state(now)
    words = WORDS[plan.kind]
    told = sorted([(words.row(plan, row), row) for row in operation.rows], key=_gravity_of_row)
    reversals = [each.alarm for each, _ in told if each.alarm]
    alarms = (*reversals, *_said_of_strays(operation))
    next_step = words.next_steps.get(state, _NEXT[state])
    if state is OperationState.PARTIAL and any(order.is_open for row in operation.rows for order in row.orders):
        next_step = _NEXT_WHILE_OPEN
    return OperationReport(
        operation_id=operation.operation_id,
        mode=plan.mode,
        account_id=plan.account_id,
        kind=plan.kind,
        state=state,
        headline=_headline(operation, state, alarms),
        alarms=alarms,
        reason=operation.reason,
        decision=_decision(operation),
        rows=tuple(_row(plan.targets[row.position].called, each, row) for each, row in told),
        next_step=_NEXT_OF_REVERSAL if reversals else next_step,
        anything_sent=_anything_sent(operation),
        replaces=plan.said_of_replaced,
        cancel_orders=plan.cancel_orders,
        notional=plan.measure,
        created_at=plan.created_at,
        expires_at=plan.expires_at,
        updated_at=operation.updated_at,
        batch=batch_of(operation),
        not_followed=not_followed,
    )


def _gravity_of_row(told: tuple[RowWords, Row]) -> tuple[bool, int]:
    words, row = told
    return not words.alarm, _gravity(row.state)


def _said_of_strays(operation: Operation) -> tuple[str, ...]:
    """`DEVIATED by 1 order not in the plan`; the reason names each."""
    return (operation.reason.partition(":")[0],) if operation.reason.startswith(DEVIATED_BY) else ()


def _gravity(state: RowState) -> int:
    return _GRAVEST_FIRST.index(state) if state in _GRAVEST_FIRST else len(_GRAVEST_FIRST)


def _row(symbol: str, words: RowWords, row: Row) -> TargetReport:
    return TargetReport(
        symbol=symbol,
        state=row.state,
        planned=words.planned,
        residual=row.residual,
        detail=row.detail,
        orders=row.orders,
        instruction_id=words.instruction_id or row.instruction_id,
        resolution=row.resolution.said if row.resolution else "",
    )


def _headline(operation: Operation, state: OperationState, alarms: Sequence[str]) -> str:
    """Mode, state, alarms and counts: `PAPER SUBMITTED: 1 deviated, 2 submitted; 0 of 3 flat`."""
    mode = operation.plan.mode.shown
    if operation.decision is None or not any(row.state is not RowState.NOT_SENT for row in operation.rows):
        return f"{mode} {state}"
    counts = Counter(row.state for row in operation.rows)
    parts = [f"{counts[row_state]} {row_state.lower().replace('_', ' ')}" for row_state in sorted(counts, key=_gravity)]
    if not operation.plan.kind.is_close:
        return f"{mode} {state}: {', '.join(parts)}"
    flat = sum(row.is_flat for row in operation.rows)
    return f"{mode} {state}: {'; '.join([*alarms, ', '.join(parts)])}; {flat} of {len(operation.rows)} flat"


def _decision(operation: Operation) -> str:
    decision = operation.decision
    if decision is None:
        return ""
    at = f"{moment(decision.decided_at)}{operation.plan.mode.real_clock}"
    if decision.mandate:
        under = f"mandate {decision.mandate} signed by {decision.by}: {decision.left}"
        return f"sent without a question at {at}, under {under}"
    verb = "approved" if decision.approved else "declined"
    origin = f" at {clean(decision.origin, 120)}" if decision.origin not in ("", decision.channel) else ""
    note = f", who wrote {quoted(decision.note, 300)}" if decision.note else ""
    first = f"; {said_of_first(decision.first)}" if decision.first else ""
    return f"{verb} at {at}, {decision.channel}, {decision.by}{origin}{note}{first}"


def said_of_first(signed: SignedStatement) -> str:
    """Who said yes first, where it takes two people."""
    said = signed.statement
    note = f", who wrote {quoted(said.note, 300)}" if said.note else ""
    return f"first yes by {signed.by} at {moment(said.decided_at)}, {clean(said.origin, 120)}{note}"


def first_yes_said(store: Ledger, operation: Operation) -> str:
    """Who has said yes first, for who decides next, and whether that still counts; empty where nobody has. Blocking."""
    if (first := store.first_yes(operation.operation_id)) is None:
        return ""
    roster = store.rosters().roster
    counts = roster is not None and first_of_two(roster, operation.plan, first) is not None
    since = "who said it was removed since, or has another name, passphrase or passkey"
    return said_of_first(first) if counts else f"{said_of_first(first)}. It counts no more: {since}."


def _anything_sent(operation: Operation) -> bool | None:
    if any(row.is_not_known for row in operation.rows):
        return None
    if operation.stage is Stage.CLAIMED and not any(row.has_effect for row in operation.rows):
        return None  # a server reads the account again, and its first request may leave at any moment
    return any(row.state is not RowState.NOT_SENT for row in operation.rows)
