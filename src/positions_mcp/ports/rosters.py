"""Who may decide, and what they have signed in advance, as a store keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from positions_mcp.domain.operation.mandate import Mandate, MandateUse, ShadowNote, Standing
    from positions_mcp.domain.operation.operation import Decision, Lease, Operation
    from positions_mcp.domain.operation.roster import RosterLink
    from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion, SignedStatement
    from positions_mcp.ports.ledger import Ledger, Rationing


class RosterStore(Protocol):
    """The rosters, each signed by who could change the one before it, and yeses that wait for a second person."""

    def set_roster(self, link: RosterLink, now: datetime) -> None:
        """Keep who may decide. Raises Refused where it does not follow, or was not signed by who may change it."""

    def count_passkey(self, passkey: Passkey, assertion: PasskeyAssertion, now: datetime) -> None:
        """Note the count of a passkey that was used to sign in. Raises Refused where it did not grow: it was copied."""

    def say_yes_first(
        self, operation_id: str, signed: SignedStatement, now: datetime, *, instead_of: SignedStatement | None
    ) -> Operation:
        """Keep the yes of the first of two people, or one in place of a yes that counts no more.

        Raises Overtaken where another one is there by now, or the operation is decided.
        """


Permit = Callable[["Operation", "Ledger"], "tuple[Decision, MandateUse]"]
"""Looks at an operation and its mandate as they are stored, inside the transaction; raises Refused to prevent that."""


class MandateStore(Protocol):
    """Mandates, their uses, and what drafts noted. Blocking, and raises as `OperationStore`."""

    def mandate(self, mandate_id: str) -> Standing | None:
        """A mandate and its uses as they stand in the tables, or None. Nothing is sent by what this says."""

    def mandates(self, *, ending_after: datetime | None = None, limit: int = 500) -> tuple[Standing, ...]:
        """The same of all, newest first; with `ending_after` those that may still matter then."""

    def draft_mandate(self, mandate: Mandate, now: datetime) -> None:
        """Keep a draft."""

    def sign_mandate(self, signed: Mandate, now: datetime) -> None:
        """Keep the signature of a draft. Raises Overtaken where it is no draft any more."""

    def revoke_mandate(self, mandate_id: str, by: str, now: datetime) -> Mandate:
        """Take a mandate back. Raises InvalidInput, Overtaken."""

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
        """Take an open operation for sending under a mandate: decided, counted and claimed, in one transaction.

        `permit` is given the operation, and looks at the mandate by the ledger. `ration` may refuse it where it was
        never asked for.
        """

    def note_shadows(self, notes: Sequence[ShadowNote]) -> None:
        """Keep what drafts say of plans. It is no part of the journal."""

    def shadows(self, mandate_id: str) -> tuple[ShadowNote, ...]:
        """What a draft noted, oldest first."""
