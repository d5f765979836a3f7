"""Mandates in the tables: drafted, signed, used and revoked, each with its entry in the journal.

A use is counted in the very transaction that takes its operation for sending. Before that the tables are compared with
what the journal says, as this process walked it.
"""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import insert, update

from positions_mcp.domain.errors import Overtaken
from positions_mcp.domain.operation.mandate import Mandate, Revocation
from positions_mcp.domain.operation.operation import Lease, Operation
from positions_mcp.domain.operation.states import Stage
from positions_mcp.ports import Rationing
from positions_mcp.ports.ledger import Permit
from positions_mcp.store import counting, passkeys, standings
from positions_mcp.store.changes import OPEN, expect
from positions_mcp.store.schema import as_text, mandate_uses, mandates
from positions_mcp.store.tallies import DRAFTED, REVOKED, SIGNED, USED, follows
from positions_mcp.store.transaction import Transaction


def draft(transaction: Transaction, mandate: Mandate, now: datetime) -> None:
    """Keep a draft under an id of its own."""
    transaction.connection.execute(
        insert(mandates).values(
            id=mandate.mandate_id,
            drafted_at=as_text(mandate.drafted_at),
            ends=as_text(mandate.shadow_until),
            content=mandate.model_dump_json(),
        )
    )
    _note(transaction, DRAFTED, mandate, now)


def sign(transaction: Transaction, signed: Mandate, now: datetime) -> None:
    """Keep the signature of a draft. Raises Overtaken where it is no draft any more."""
    before = transaction.standing(signed.mandate_id).mandate
    if not follows(before, signed, SIGNED) or signed.window is None:
        raise Overtaken(f"Mandate {signed.mandate_id} was signed or revoked meanwhile.", hint="Look at it again.")
    passkeys.use(transaction, signed.signed, now)
    _keep(transaction, signed, signed.window.ends)
    _note(transaction, SIGNED, signed, now)


def revoke(transaction: Transaction, mandate_id: str, by: str, now: datetime) -> Mandate:
    """Take it back, whatever else is wrong with it. Raises Overtaken where it is revoked already."""
    before = standings.known(transaction.connection, mandate_id).mandate
    if before.revoked is not None:
        raise Overtaken(f"Mandate {mandate_id} was revoked by {before.revoked.by} already.")
    revoked = before.changed(revoked=Revocation(by=by, at=now))
    _keep(transaction, revoked, revoked.window.ends if revoked.window else revoked.shadow_until)
    _note(transaction, REVOKED, revoked, now)
    return revoked


def claim_under(
    transaction: Transaction,
    operation_id: str,
    mandate_id: str,
    lease: Lease,
    now: datetime,
    *,
    permit: Permit,
    ration: Rationing | None,
) -> Operation:
    """Take an operation for sending under a mandate: decided, counted and claimed at once, or not at all."""
    operation = transaction.operation(operation_id)
    expect(operation, OPEN)
    if operation.plan.is_expired(now):
        raise Overtaken(f"Plan {operation_id} expired before it was sent.", hint="Plan again.")
    decision, use = permit(operation, transaction)
    counted_at = counting.begin(transaction, operation, now, ration)
    transaction.connection.execute(
        insert(mandate_uses).values(
            mandate_id=mandate_id, number=use.number, operation_id=operation_id, content=use.model_dump_json()
        )
    )
    told = {"mandate": mandate_id, "operation": operation_id, "use": use.model_dump(mode="json")}
    transaction.append_alone(USED, told, now)
    told = decision.model_dump(mode="json", exclude={"signature"})
    approved = transaction.save(operation, "approved", now, content=told, stage=Stage.APPROVED, decision=decision)
    told = {"process": lease.process, "until": as_text(lease.until)}
    return transaction.save(
        approved, "claimed", now, content=told, stage=Stage.CLAIMED, lease=lease, counted_at=counted_at
    )


def _keep(transaction: Transaction, mandate: Mandate, ends: datetime) -> None:
    changed = {"content": mandate.model_dump_json(), "ends": as_text(ends)}
    transaction.connection.execute(update(mandates).where(mandates.c.id == mandate.mandate_id).values(**changed))


def _note(transaction: Transaction, event: str, mandate: Mandate, now: datetime) -> None:
    record = json.loads(mandate.model_dump_json())
    transaction.append_alone(event, {"mandate": mandate.mandate_id, "record": record}, now)
