"""The changes a store allows: each names what it expects to find, and raises Overtaken where that is gone.

Every function here runs within a `Transaction` that no other writer can interrupt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from positions_mcp.domain.errors import Overtaken, Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Row
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Permitting, Rationing, Refusing, Signing
from positions_mcp.store import counting, keeping, passkeys, records
from positions_mcp.store.schema import as_text
from positions_mcp.store.transaction import Transaction

OPEN = (Stage.PLANNED, Stage.AWAITING_APPROVAL)
_MOST_NOTES = 50
"""Of one event about one operation; of an event about none, within an hour."""
_NOTES_WITHIN = timedelta(hours=1)
_CLOCK_SKEW = timedelta(seconds=5)
"""How far a clock may step back between a decision and its use."""


def add_plan(
    transaction: Transaction,
    plan: Plan,
    request_key: str,
    now: datetime,
    *,
    supersede: str | None,
    check: Refusing | None,
    ask: Rationing | None,
    content: Mapping[str, str],
) -> Operation:
    """Store a plan, or answer the one under way for the same arguments and caller. `check` may refuse a new one.

    With `ask` it is put before a person in a form as well, told with `content`; where that refuses, the plan stands.
    """
    for found in records.SAME_REQUEST.read(transaction.connection, key=request_key, supersede=supersede):
        due = records.due_at(found)
        if found.operation_id == supersede and found.stage in OPEN:
            open_one = transaction.operation(found.operation_id)
            why = "it had less than a minute left" if plan.replaces else "the book no longer fits it"
            reason = f"{why}; a new plan was made, {plan.plan_id}"
            transaction.save(open_one, "plan superseded", now, stage=Stage.EXPIRED, reason=reason)
        elif due is not None and now < due:
            return found
    if check is not None:
        check(transaction)
    told = {"mode": plan.mode.value, "account_id": plan.account_id, "kind": plan.kind.value, "digest": plan.digest}
    made = transaction.add(Operation.planned(plan), request_key, told)
    if ask is None:
        return made
    try:
        to = Stage.AWAITING_APPROVAL
        return move(transaction, made, to=to, reason="", now=now, ration=ask, content=content)
    except Refused as refusal:
        transaction.refusal = refusal
        return made


def move(
    transaction: Transaction,
    operation: Operation,
    *,
    to: Stage,
    reason: str,
    now: datetime,
    ration: Rationing | None,
    content: Mapping[str, str],
) -> Operation:
    """Change the stage before anything is sent. What is asked for counts for its caller; `ration` may refuse it."""
    counted_at = counting.begin(transaction, operation, now, ration) if to is Stage.AWAITING_APPROVAL else None
    event = to.value.lower().replace("_", " ")
    told = dict(content)
    return transaction.save(operation, event, now, content=told, stage=to, reason=reason, counted_at=counted_at)


def decide(transaction: Transaction, decision: Decision, now: datetime, *, said_in_time: bool = False) -> Operation:
    """Record a person's decision. A no also stops what was approved and not yet taken for sending.

    `said_in_time` where nothing is sent of it any more: then it counts when it was said, not when it is recorded.
    """
    operation = transaction.operation(decision.operation_id)
    if decision.digest != operation.plan.digest:
        raise Refused("The decision is about another plan than the one stored.", hint="Nothing was sent.")
    if decision.mandate:
        raise Refused("What a mandate allows is decided when it is taken for sending.", hint="Nothing was sent.")
    passkeys.use(transaction, decision.signed, now)
    told = decision.model_dump(mode="json", exclude={"signature"})
    if not decision.approved:
        expect(operation, (*OPEN, Stage.APPROVED))
        return transaction.save(operation, "declined", now, content=told, stage=Stage.DECLINED, decision=decision)
    expect(operation, OPEN if decision.of_preview else (Stage.AWAITING_APPROVAL,))
    if operation.plan.is_expired(min(decision.decided_at, now) if said_in_time else now):
        raise Overtaken(f"Plan {operation.operation_id} expired before it was decided.", hint="Plan again.")
    return transaction.save(operation, "approved", now, content=told, stage=Stage.APPROVED, decision=decision)


def note(
    transaction: Transaction, event: str, operation_id: str | None, content: dict[str, str], now: datetime
) -> None:
    """Add an entry, about an operation or none, that changes nothing. A flood of one event is not written down."""
    if operation_id is None:
        if transaction.count(event, None, since=now - _NOTES_WITHIN) < _MOST_NOTES:
            transaction.append_alone(event, content, now)
        return
    operation = transaction.operation(operation_id)
    if transaction.count(event, operation_id) < _MOST_NOTES:
        transaction.append(operation, event, content, now)


def claim(
    transaction: Transaction,
    operation_id: str,
    lease: Lease,
    now: datetime,
    *,
    check: Permitting,
    ration: Rationing | None,
) -> Operation:
    """Take an approved operation for sending: one process, once. `check` and `ration` may refuse by raising."""
    operation = transaction.operation(operation_id)
    expect(operation, (Stage.APPROVED,))
    if operation.decision is None or now >= operation.decision.expires_at:
        raise Overtaken(f"The approval of {operation_id} lapsed before it was used.", hint="Plan again.")
    if now < operation.decision.decided_at - _CLOCK_SKEW:
        raise Overtaken(
            f"The clock was set back since {operation_id} was approved, so nobody can say whether the approval lapsed.",
            hint="Plan again.",
        )
    check(operation, transaction)
    counted_at = counting.begin(transaction, operation, now, ration)
    return take(transaction, operation, lease, now, counted_at=counted_at)


def take(
    transaction: Transaction, operation: Operation, lease: Lease, now: datetime, *, counted_at: datetime | None
) -> Operation:
    """Note which process takes an operation for sending, and until when."""
    told = {"process": lease.process, "until": as_text(lease.until)}
    return transaction.save(
        operation, "claimed", now, content=told, counted_at=counted_at, stage=Stage.CLAIMED, lease=lease
    )


def observe(
    transaction: Transaction,
    before: Operation,
    rows: Sequence[Row],
    now: datetime,
    *,
    event: str,
    signed: Signing | None = None,
) -> Operation:
    """Write what following has seen, unless it is about rows that have changed since."""
    operation = transaction.operation(before.operation_id)
    for row in rows:
        if operation.rows[row.position] != before.rows[row.position]:
            raise Overtaken(f"Row {row.position + 1} of {before.operation_id} changed meanwhile.")
    return transaction.save(operation, event, now, content=passkeys.told(transaction, signed, now), rows=rows)


def set_halt(transaction: Transaction, halt: Halt) -> Halt:
    """Stop what it covers, beside what is halted already; one of the same scope takes the place of the earlier one.

    Where what is halted already cannot be read, everything is halted: nothing that stood may be lost. Returns what now
    stands.
    """
    try:
        others = [each for each in transaction.halts() if not each.has_scope_of(halt)]
    except StoreUnavailable:
        others, halt = [], halt.changed(account_id=None, caller="", kind=None)
    transaction.keep_halts("halted", [*others, halt], halt.at, halt.model_dump(mode="json"))
    return halt


def clear_halts(
    transaction: Transaction,
    by: str,
    now: datetime,
    *,
    expected: Sequence[Halt],
    signed: Signing | None = None,
) -> None:
    """Let a person resume from the halts that they saw; others stay."""
    standing = transaction.halts()
    if any(halt not in standing for halt in expected):
        raise Overtaken("The halt is another one than was shown.", hint="It stands. Look at it again.")
    left = [halt for halt in standing if halt not in expected]
    ended = [halt.model_dump(mode="json") for halt in expected if not halt.is_of_everything]
    if len(ended) < len(expected):
        keeping.remove_all(transaction.connection, keeping.FAILURES)
    told = {"by": by, **({"scopes": ended} if ended else {}), **passkeys.told(transaction, signed, now)}
    transaction.keep_halts("resumed", left, now, told)


def expect(operation: Operation, stages: Sequence[Stage]) -> None:
    """Raise Overtaken unless the operation is in one of the stages."""
    if operation.stage not in stages:
        raise Overtaken(
            f"Operation {operation.operation_id} is {operation.stage}, so this can no longer happen to it.",
            hint="get_operation says what became of it.",
        )
