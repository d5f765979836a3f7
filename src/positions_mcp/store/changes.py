"""The changes a store allows: each names what it expects to find, and raises Overtaken where that is gone.

Every function here runs within a `Transaction` that no other writer can interrupt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Overtaken, Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Reservation, Row
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Ending, Permitting, Rationing, Refusing, Signing, Taking
from positions_mcp.store import counting, keeping, passkeys, records
from positions_mcp.store.schema import as_text
from positions_mcp.store.transaction import SENDING, Transaction, expect

_OPEN = (Stage.PLANNED, Stage.AWAITING_APPROVAL)
_PROGRAM = "positions-mcp"
_FAILURES = "failures:"
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
        if found.operation_id == supersede and found.stage in _OPEN:
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
        expect(operation, (*_OPEN, Stage.APPROVED))
        return transaction.save(operation, "declined", now, content=told, stage=Stage.DECLINED, decision=decision)
    expect(operation, _OPEN if decision.of_preview else (Stage.AWAITING_APPROVAL,))
    if operation.plan.is_expired(min(decision.decided_at, now) if said_in_time else now):
        raise Overtaken(f"Plan {operation.operation_id} expired before it was decided.", hint="Plan again.")
    return transaction.save(operation, "approved", now, content=told, stage=Stage.APPROVED, decision=decision)


def note(
    transaction: Transaction, event: str, operation_id: str | None, content: dict[str, str], now: datetime
) -> None:
    """Add an entry, about an operation or none, that changes nothing. A flood of one event is not written down."""
    if operation_id is None:
        if transaction.count_since(event, now - _NOTES_WITHIN) < _MOST_NOTES:
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
    told = {"process": lease.process, "until": as_text(lease.until)}
    return transaction.save(
        operation, "claimed", now, content=told, stage=Stage.CLAIMED, lease=lease, counted_at=counted_at
    )


def begin(
    transaction: Transaction,
    operation_id: str,
    lease: Lease,
    *,
    reserving: Mapping[int, Reservation],
    now: datetime,
    market_now: datetime,
    check: Refusing,
    taking: Taking | None,
) -> Operation:
    """Make rows SENDING and reserve their notional, before their request leaves."""
    if taking is not None:
        decide(transaction, taking.decision, now)
        claim(transaction, operation_id, taking.lease, now, check=taking.check, ration=taking.ration)
    operation = transaction.operation(operation_id)
    _expect_lease(operation, lease.token, now)
    transaction.expect_others(operation)
    check(transaction)
    rows = []
    for position, reservation in reserving.items():
        row = operation.rows[position]
        if row.state is not RowState.NOT_SENT:
            raise Overtaken(f"Row {position + 1} of {operation_id} is {row.state}.", hint="It is sent once.")
        told = {
            "state": RowState.SENDING,
            "detail": "",
            "lease": lease,
            "sent_at": now,
            "reserved": reservation.measure,
            "reserved_on": new_york_day(market_now),
            "sent_at_market": market_now,
            "expected_quantity": reservation.expected_quantity,
        }
        rows.append(row.changed(**told))
    return transaction.save(operation, SENDING, now, rows=rows, lease=lease)


def record(
    transaction: Transaction,
    operation_id: str,
    token: str,
    rows: Sequence[Row],
    now: datetime,
    *,
    halt_after: int | None,
    ending: Ending | None,
) -> Operation:
    """Write outcomes, as who sent them. An answer after its lease ran out still tells the truth and is kept.

    It also overrides what was settled meanwhile: an answer is evidence, and a conclusion without it was a guess.
    """
    operation = _record(transaction, operation_id, token, rows, now, halt_after=halt_after)
    if ending is None or operation.lease is None or operation.lease.token != ending.token:
        return operation
    return finish(transaction, operation_id, ending, now)


def _record(
    transaction: Transaction,
    operation_id: str,
    token: str,
    rows: Sequence[Row],
    now: datetime,
    *,
    halt_after: int | None,
) -> Operation:
    operation = transaction.operation(operation_id)
    told, overridden, awaited = [], [], False
    for row in rows:
        stored = operation.rows[row.position]
        if stored.state not in (RowState.SENDING, RowState.UNKNOWN):
            raise Overtaken(f"Row {row.position + 1} of {operation_id} is {stored.state} already.")
        if not (stored.lease.token == token if stored.lease else row.sent_at == stored.sent_at):
            raise Overtaken(f"Row {row.position + 1} of {operation_id} was sent by another server.")
        awaited = awaited or stored.state is RowState.SENDING
        if stored.resolution is None:
            told.append(row)
        elif row.state not in (RowState.UNKNOWN, RowState.NOT_SENT):
            told.append(row)
            overridden.append(stored.resolution.model_dump(mode="json"))
    if not told:
        return operation
    event, content = ("settlement overridden by the answer", {"settled": overridden}) if overridden else ("outcome", {})
    saved = transaction.save(operation, event, now, content=content, rows=told)
    count_failures(transaction, saved, told, now, halt_after, counted=not awaited)
    return saved


def finish(
    transaction: Transaction, operation_id: str, ending: Ending, now: datetime, *, decided: Decision | None = None
) -> Operation:
    """End a claim; or, where nobody has taken it, what is `decided` now and was not sent."""
    operation = transaction.operation(operation_id)
    if operation.lease is None or operation.lease.token != ending.token:
        if decided is None or operation.lease is not None:
            raise Overtaken(f"Operation {operation_id} is no longer held by this process.")
        operation = decide(transaction, decided, transaction.at(now), said_in_time=True)
    return transaction.save(
        operation, "ended", now, rows=ending.rows, stage=ending.stage, reason=ending.reason, lease=None
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
        keeping.remove_all(transaction.connection, _FAILURES)
    told = {"by": by, **({"scopes": ended} if ended else {}), **passkeys.told(transaction, signed, now)}
    transaction.keep_halts("resumed", left, now, told)


def _expect_lease(operation: Operation, token: str, now: datetime) -> None:
    if operation.lease is None or operation.lease.token != token or now >= operation.lease.until:
        raise Overtaken(f"Operation {operation.operation_id} is no longer held by this process.")


def count_failures(
    transaction: Transaction,
    operation: Operation,
    rows: Sequence[Row],
    now: datetime,
    halt_after: int | None,
    *,
    counted: bool = False,
) -> None:
    """One request counts once, for its mode and account: a success ends the series, a failure adds to it.

    `counted` says that its lease ran out before, which counted as an unknown outcome then.
    """
    connection = transaction.connection
    key = f"{_FAILURES}{operation.plan.mode.value}:{operation.account_id}"
    if any(row.has_effect for row in rows):
        keeping.put(connection, key, None)
        return
    if counted or not any(row.state in (RowState.REJECTED, RowState.UNKNOWN) for row in rows):
        return
    count = int(keeping.get(connection, key) or 0) + 1
    keeping.put(connection, key, str(count))
    if (
        halt_after is not None
        and count >= halt_after
        and not any(halt.is_of_everything for halt in transaction.halts())
    ):
        account = f"{operation.plan.mode.shown} account {operation.account_id}"
        reason = f"{count} rejected or unknown outcomes in a row in {account}"
        set_halt(transaction, Halt(reason=reason, by=_PROGRAM, at=now))
