"""What a store allows to whoever sends an operation: the request that is about to leave, what came of it, and the end.

Each names the claim that it belongs to. Every function here runs within a `Transaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Reservation, Row
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.ports import Ending, Refusing, Taking
from positions_mcp.store import keeping
from positions_mcp.store.changes import claim, decide, set_halt
from positions_mcp.store.journal import chain_of
from positions_mcp.store.transaction import SENDING, Transaction

_PROGRAM = "positions-mcp"


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
            "held": reservation.held,
        }
        rows.append(row.changed(**told))
    return transaction.save(operation, SENDING, now, rows=rows, lease=lease)


def after(
    transaction: Transaction,
    operation_id: str,
    token: str,
    outcome: Sequence[Row],
    now: datetime,
    *,
    then: Callable[[], Operation],
) -> Operation:
    """Write the outcome of a request that took effect, and begin the next: the outcome alone, where that is refused."""
    if not outcome:
        return then()
    recorded = _record(transaction, operation_id, token, outcome, now, halt_after=None)
    try:
        return then()
    except Refused as refusal:
        transaction.refusal = refusal
        return recorded


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
        is_followed = row.state.took_effect and stored.state.took_effect and row.sent_at == stored.sent_at
        if is_followed or stored == row.released():
            continue  # it is there, although nobody heard so
        if stored.state not in (RowState.SENDING, RowState.UNKNOWN):
            raise Overtaken(f"Row {row.position + 1} of {operation_id} is {stored.state} already.")
        is_of_it = row.sent_at in (None, stored.sent_at) if stored.lease else row.sent_at == stored.sent_at
        if not is_of_it or (stored.lease and stored.lease.token != token):
            raise Overtaken(f"Row {row.position + 1} of {operation_id}: this is the outcome of another request.")
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
    key = f"{keeping.FAILURES}{chain_of(operation.plan.mode, operation.account_id)}"
    if any(row.has_effect for row in rows):
        transaction.keep_beside(key, None)
        return
    if counted or not any(row.state in (RowState.REJECTED, RowState.UNKNOWN) for row in rows):
        return
    count = int(transaction.beside(key) or 0) + 1
    transaction.keep_beside(key, str(count))
    if (
        halt_after is not None
        and count >= halt_after
        and not any(halt.is_of_everything for halt in transaction.halts())
    ):
        account = f"{operation.plan.mode.shown} account {operation.account_id}"
        reason = f"{count} rejected or unknown outcomes in a row in {account}"
        set_halt(transaction, Halt(reason=reason, by=_PROGRAM, at=now))
