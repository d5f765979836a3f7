"""Mandates in the tables: implements `positions_mcp.ports.ledger.MandateStore`.

Each is drafted, signed, used and revoked with its entry in the journal. A use is counted in the very transaction that
takes its operation for sending; before that the tables are compared with what the journal says, as this process walked
it. What drafts would have let through decides nothing, and stands in no journal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from positions_mcp.domain.errors import Overtaken
from positions_mcp.domain.operation.mandate import Mandate, Revocation, ShadowNote, Standing
from positions_mcp.domain.operation.operation import Lease, Operation
from positions_mcp.domain.operation.states import Stage
from positions_mcp.ports import Rationing
from positions_mcp.ports.ledger import Permit
from positions_mcp.store import counting, passkeys, standings
from positions_mcp.store.access import Access
from positions_mcp.store.changes import OPEN, expect, take
from positions_mcp.store.schema import as_text, mandate_shadows, mandate_uses, mandates
from positions_mcp.store.tallies import DRAFTED, REVOKED, SIGNED, USED, follows
from positions_mcp.store.transaction import Transaction

_MOST_SHOWN = 500
MOST_OF_ONE = 1_000
"""Notes that one draft keeps: of more, the latest."""


class StoredMandates(Access):
    """What `SqlOperationStore` does about mandates."""

    def mandate(self, mandate_id: str) -> Standing:
        with self._reading() as connection:
            return standings.known(connection, mandate_id)

    def standing(self, mandate_id: str) -> Standing:
        with self._writing() as transaction:
            return transaction.standing(mandate_id)

    def mandates(self, *, ending_after: datetime | None = None) -> tuple[Standing, ...]:
        with self._reading() as connection:
            return standings.select_all(connection, ending_after=ending_after, limit=_MOST_SHOWN)

    def draft_mandate(self, mandate: Mandate, now: datetime) -> None:
        drafted_at, ends = as_text(mandate.drafted_at), as_text(mandate.shadow_until)
        row = {"id": mandate.mandate_id, "drafted_at": drafted_at, "ends": ends, "content": mandate.model_dump_json()}
        with self._writing() as transaction:
            transaction.connection.execute(insert(mandates).values(**row))
            _note(transaction, DRAFTED, mandate, now)

    def sign_mandate(self, signed: Mandate, now: datetime) -> None:
        with self._writing() as transaction:
            before = transaction.standing(signed.mandate_id).mandate
            if not follows(before, signed, SIGNED) or signed.window is None:
                said = f"Mandate {signed.mandate_id} was signed or revoked meanwhile."
                raise Overtaken(said, hint="Look at it again.")
            passkeys.use(transaction, signed.signed, now)
            _keep(transaction, signed, signed.window.ends)
            _note(transaction, SIGNED, signed, now)

    def revoke_mandate(self, mandate_id: str, by: str, now: datetime) -> Mandate:
        """Whatever else is wrong with it. Raises Overtaken where it is revoked already."""
        with self._writing() as transaction:
            before = standings.known(transaction.connection, mandate_id).mandate
            if before.revoked is not None:
                raise Overtaken(f"Mandate {mandate_id} was revoked by {before.revoked.by} already.")
            revoked = before.changed(revoked=Revocation(by=by, at=now))
            _keep(transaction, revoked, revoked.window.ends if revoked.window else revoked.shadow_until)
            _note(transaction, REVOKED, revoked, now)
            return revoked

    def claim_under(
        self,
        operation_id: str,
        mandate_id: str,
        lease: Lease,
        now: datetime,
        *,
        permit: Permit,
        ration: Rationing | None = None,
    ) -> Operation:
        with self._writing() as transaction:
            now, operation = transaction.at(now), transaction.operation(operation_id)
            expect(operation, OPEN)
            if operation.plan.is_expired(now):
                raise Overtaken(f"Plan {operation_id} expired before it was sent.", hint="Plan again.")
            decision, use = permit(operation, transaction)
            counted_at = counting.begin(transaction, operation, now, ration)
            row = {"mandate_id": mandate_id, "number": use.number, "operation_id": operation_id}
            transaction.connection.execute(insert(mandate_uses).values(**row, content=use.model_dump_json()))
            told = {"mandate": mandate_id, "operation": operation_id, "use": use.model_dump(mode="json")}
            transaction.append_alone(USED, told, now)
            told = decision.model_dump(mode="json", exclude={"signature"})
            approved = transaction.save(
                operation, "approved", now, content=told, stage=Stage.APPROVED, decision=decision
            )
            return take(transaction, approved, lease, now, counted_at=counted_at)

    def note_shadows(self, notes: Sequence[ShadowNote]) -> None:
        """What a draft said of a plan before is replaced."""
        columns = mandate_shadows.c
        with self._writing_beside() as connection:
            for each in notes:
                mine = columns.mandate_id == each.mandate_id
                connection.execute(delete(mandate_shadows).where(mine, columns.plan_id == each.plan_id))
                row = {"mandate_id": each.mandate_id, "plan_id": each.plan_id, "at": as_text(each.at)}
                connection.execute(insert(mandate_shadows).values(**row, content=each.model_dump_json()))
                if connection.execute(select(func.count()).where(mine)).scalar_one() > MOST_OF_ONE:
                    oldest = select(columns.plan_id).where(mine).order_by(columns.at).limit(1)
                    one = columns.plan_id == oldest.scalar_subquery()
                    connection.execute(delete(mandate_shadows).where(mine, one))

    def shadows(self, mandate_id: str) -> tuple[ShadowNote, ...]:
        columns = mandate_shadows.c
        wanted = select(columns.content).where(columns.mandate_id == mandate_id).order_by(columns.at, columns.plan_id)
        with self._reading() as connection:
            found = connection.execute(wanted).scalars()
            return tuple(ShadowNote.model_validate_json(content) for content in found)


def _keep(transaction: Transaction, mandate: Mandate, ends: datetime) -> None:
    changed = {"content": mandate.model_dump_json(), "ends": as_text(ends)}
    transaction.connection.execute(update(mandates).where(mandates.c.id == mandate.mandate_id).values(**changed))


def _note(transaction: Transaction, event: str, mandate: Mandate, now: datetime) -> None:
    record = json.loads(mandate.model_dump_json())
    transaction.append_alone(event, {"mandate": mandate.mandate_id, "record": record}, now)
