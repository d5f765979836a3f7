"""What a transaction sees and takes, who may decide, and what they have signed in advance, as a store keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal

    from positions_mcp.domain.ids import AccountId
    from positions_mcp.domain.operation.mandate import Mandate, MandateUse, ShadowNote, Standing
    from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Row
    from positions_mcp.domain.operation.plan import Mode, Plan
    from positions_mcp.domain.operation.roster import RosterLink
    from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion, SignedStatement
    from positions_mcp.domain.operation.states import Stage
    from positions_mcp.domain.operation.supervision import Halt
    from positions_mcp.signing.rosters import RosterChain


class Ledger(Protocol):
    """What a transaction sees, for deciding whether it may go on."""

    def halts(self) -> tuple[Halt, ...]:
        """The halts that stand, oldest first."""

    def rosters(self) -> RosterChain:
        """Everybody who ever could decide. Raises StoreUnavailable where a roster was not signed by who may."""

    def approved_by(self, name: str, mode: Mode, account_id: AccountId, day: date, *, beside: str) -> Decimal:
        """Dollars sent on somebody's word on a New York day, or being sent, beside those of one operation."""

    def first_yes(self, operation_id: str) -> SignedStatement | None:
        """What the first of two people has signed of an operation; None where nobody has."""

    def used(self, mode: Mode, account_id: AccountId, day: date) -> Decimal:
        """Dollars reserved for what was sent, or may have been, on a New York day."""

    def unfinished(self, mode: Mode, account_id: AccountId) -> tuple[Operation, ...]:
        """Operations of the account that may still change its book, oldest first."""

    def sent_after_planning(self, operation_id: str) -> tuple[Operation, ...]:
        """Other operations of the account that sent something after this one was planned, by the journal's order."""

    def declined_since(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[Operation, ...]:
        """Operations of the account that a person said no to after an instant, oldest first."""

    def open_plans(self, mode: Mode, now: datetime) -> Mapping[str, int]:
        """How many plans nobody has decided yet, by caller; those that have expired by `now` are over."""

    def open_forms(self, mode: Mode, caller: str, now: datetime, *, asking: str = "") -> Mapping[str, frozenset[str]]:
        """The undecided operations of a caller whose question is open in a form, the first one asked first.

        With each the servers that show it; "" where any server of the store takes its answer. Who is `asking` is alive,
        whatever its last word says: its machine may have slept.
        """

    def counted_since(
        self, mode: Mode, account_id: AccountId, caller: str, since: datetime, nth: int
    ) -> datetime | None:
        """When the `nth` latest operation that counts for a caller in an account was asked for; None where fewer were.

        Only those asked for after `since` are looked at.
        """

    def standing(self, mandate_id: str) -> Standing:
        """A mandate and its uses, which are as the journal says. Raises InvalidInput, StoreUnavailable."""


Refusing = Callable[[Ledger], None]
"""Looks at what is stored, inside the transaction that is about to write; raises Refused to prevent the write."""

Permitting = Callable[["Operation", Ledger], None]
"""The same for one approved operation that is about to be taken for sending."""

Rationing = Callable[[Ledger, "Operation"], None]
"""The same for one operation that is about to count for its caller."""


@dataclass(frozen=True, slots=True)
class Taking:
    """A yes to an operation, and its claim, that are written with what they are for: its first request."""

    decision: Decision
    lease: Lease
    check: Permitting
    ration: Rationing | None = None

    def is_too_late(self, plan: Plan, now: datetime) -> bool:
        """Whether time alone forbids it by now."""
        return plan.is_expired(now) or now >= self.decision.expires_at


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claim ends; `rows` say why what was not sent was not."""

    token: str
    stage: Stage
    reason: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Signing:
    """What a person has signed, and what asks whether they may, inside the transaction that is about to use it."""

    signed: SignedStatement
    check: Refusing


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

    def mandate(self, mandate_id: str) -> Standing:
        """A mandate and its uses as they stand in the tables, by which nothing is sent. Raises InvalidInput."""

    def mandates(self, *, ending_after: datetime | None = None) -> tuple[Standing, ...]:
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
