"""Mandates, as the operation store offers them: implements `positions_mcp.ports.ledger.MandateStore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.mandate import Mandate, ShadowNote, Standing
from positions_mcp.domain.operation.operation import Lease, Operation
from positions_mcp.ports import Rationing
from positions_mcp.ports.ledger import Permit
from positions_mcp.store import mandates, shadows, standings
from positions_mcp.store.access import Access

_MOST_SHOWN = 500


class StoredMandates(Access):
    """What `SqlOperationStore` does about mandates."""

    def mandate(self, mandate_id: str) -> Standing | None:
        with self._reading() as connection:
            try:
                return standings.known(connection, mandate_id)
            except InvalidInput:
                return None

    def standing(self, mandate_id: str) -> Standing:
        with self._writing() as transaction:
            return transaction.standing(mandate_id)

    def mandates(self, *, ending_after: datetime | None = None) -> tuple[Standing, ...]:
        with self._reading() as connection:
            return standings.select_all(connection, ending_after=ending_after, limit=_MOST_SHOWN)

    def draft_mandate(self, mandate: Mandate, now: datetime) -> None:
        with self._writing() as transaction:
            mandates.draft(transaction, mandate, now)

    def sign_mandate(self, signed: Mandate, now: datetime) -> None:
        with self._writing() as transaction:
            mandates.sign(transaction, signed, now)

    def revoke_mandate(self, mandate_id: str, by: str, now: datetime) -> Mandate:
        with self._writing() as transaction:
            return mandates.revoke(transaction, mandate_id, by, now)

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
            now = transaction.at(now)
            return mandates.claim_under(transaction, operation_id, mandate_id, lease, now, permit=permit, ration=ration)

    def note_shadows(self, notes: Sequence[ShadowNote]) -> None:
        with self._writing_beside() as connection:
            shadows.note(connection, notes)

    def shadows(self, mandate_id: str) -> tuple[ShadowNote, ...]:
        with self._reading() as connection:
            return shadows.of(connection, mandate_id)
