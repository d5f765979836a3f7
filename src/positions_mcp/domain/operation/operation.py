"""Operations: a plan, what a person decided about it, and what became of every row.

States are closed. What is stored is the stage of the operation and the state of each row; the state that is shown is
derived from them and the time, so that the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.batch.rows import RowOutcome, RowReport, UnexpectedRow
from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.ids import AccountId, InstructionId, OrderId
from positions_mcp.domain.operation.growth import added
from positions_mcp.domain.operation.plan import Frozen, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.text import clean


class Conclusion(StrEnum):
    """What became of a row whose outcome was unknown."""

    TOOK_EFFECT = "took effect"
    DID_NOT = "did not take effect"
    """Only a person may say so: an unchanged book proves nothing."""


class Resolution(Frozen):
    """How an unknown outcome was settled, by whom, and on what evidence."""

    conclusion: Conclusion
    by: str = Field(min_length=1)
    evidence: str
    at: AwareDatetime
    by_person: bool

    def model_post_init(self, _context: object) -> None:
        if self.conclusion is Conclusion.DID_NOT and not self.by_person:
            raise ValueError("only a person may conclude that a request did not take effect")

    @property
    def said(self) -> str:
        return f"{self.conclusion} ({self.by}): {self.evidence}"


class SentOrder(Frozen):
    """An order that a row produced, as last read."""

    order_id: OrderId
    status: str
    side: OrderSide | None = None
    quantity: Decimal | None = None
    filled: Decimal | None = None
    average_price: Decimal | None = None
    is_open: bool = True
    is_queued: bool = False
    releases_at: datetime | None = None
    details: str = ""
    """Free text of the API, cleaned."""

    @classmethod
    def of(cls, order: Order) -> Self:
        """What is kept of an order as the API reports it."""
        return cls(
            order_id=order.id,
            status=clean(order.status, 40),
            side=order.side,
            quantity=order.quantity,
            filled=order.filled_quantity,
            average_price=order.average_fill_price,
            is_open=order.is_open,
            is_queued=order.is_queued,
            releases_at=order.releases_at,
            details=clean("; ".join(order.details or ()), 200),
        )


class Lease(Frozen):
    """Who may send, and until when its silence means nothing. `token` is unique to one claim."""

    token: str = Field(min_length=1)
    process: str
    until: AwareDatetime


class Reservation(Frozen):
    """What a row is about to do: dollars to count against the day, and by the book the order's quantity, of so many."""

    measure: Decimal = Field(ge=0)
    expected_quantity: Decimal | None = None
    held: Decimal | None = None


class Row(Frozen):
    """One target of an operation and what is known of it. `position` is its place in the plan, from 0."""

    position: int = Field(ge=0)
    state: RowState = RowState.NOT_SENT
    detail: str = ""
    """Why it is so, in words."""
    expected_quantity: Decimal | None = None
    """Order quantity expected when the book was read again, just before sending."""
    held: Decimal | None = added("0.2.0", default=None)
    """Signed quantity held then; None where that was not read."""
    lease: Lease | None = None
    """Whose word on its outcome counts: kept where the lease ran out before that was recorded."""
    reserved: Decimal = Decimal(0)
    """Dollars counted against the day's limits."""
    reserved_on: date | None = None
    sent_at: AwareDatetime | None = None
    sent_at_market: AwareDatetime | None = None
    """The same instant by the market's clock, which a paper exchange may set."""
    orders: tuple[SentOrder, ...] = ()
    instruction_id: InstructionId | None = None
    answered: RowReport | None = None
    """Of a row of a batch of instructions: what came back, and what may be done next."""
    unexpected: tuple[UnexpectedRow, ...] = ()
    """What came back beside, answering no row of the batch; kept with its first row."""
    unreadable: tuple[str, ...] = ()
    """Why rows that came back beside could not be read; kept with the first row."""
    request_id: str | None = None
    residual: Decimal | None = None
    """Signed quantity still held when last read; None while not read."""
    observed_at: AwareDatetime | None = None
    ended: bool = False
    """Whether nothing more will happen by itself."""
    resolution: Resolution | None = None

    def model_post_init(self, _context: object) -> None:
        if self.state is RowState.SENDING and self.lease is None:
            raise ValueError("a row is sent under a lease")
        if self.state is RowState.NOT_SENT and self.lease is not None:
            raise ValueError("a row that was not sent holds no lease")
        if self.state is not RowState.NOT_SENT and self.sent_at is None:
            raise ValueError("a row that may have left knows when")
        if self.resolution is not None and self.state is not RowState.UNKNOWN:
            raise ValueError("only an unknown outcome is settled")
        if (self.reserved > 0) and self.reserved_on is None:
            raise ValueError("what is reserved is reserved on a day")

    @property
    def is_in_doubt(self) -> bool:
        """Whether its effect is not known and nobody has settled it."""
        return self.state is RowState.UNKNOWN and self.resolution is None

    @property
    def is_not_known(self) -> bool:
        """Whether nobody can say what became of it: it is being sent, or in doubt."""
        return self.state is RowState.SENDING or self.is_in_doubt

    @property
    def may_stand_unseen(self) -> bool:
        """Whether its instruction may stand though nothing says so: in doubt, or answered for another account."""
        not_known = self.answered is not None and self.answered.outcome in (RowOutcome.MISSING, RowOutcome.UNKNOWN)
        return self.is_in_doubt or (self.state is RowState.DEVIATED and not_known and not self.ended)

    @property
    def is_unfinished(self) -> bool:
        """Whether it may still change the book, or may have done so unseen."""
        return self.is_not_known or (self.has_effect and not self.ended)

    @property
    def is_followed(self) -> bool:
        """Whether what becomes of it is looked for: not while it is being sent."""
        return self.is_unfinished and self.state is not RowState.SENDING

    @property
    def has_effect(self) -> bool:
        settled = self.resolution is not None and self.resolution.conclusion is Conclusion.TOOK_EFFECT
        return self.state.took_effect or settled

    def released(self) -> Row:
        """The row, its dollars given back where it is known to have had no effect."""
        denied = self.resolution is not None and self.resolution.conclusion is Conclusion.DID_NOT
        if self.reserved and (denied or self.state is RowState.REJECTED):
            return self.changed(reserved=Decimal(0), reserved_on=None)
        return self

    @property
    def is_done(self) -> bool:
        """Whether what was asked for has happened and nothing more will: flat with no order open, or accepted."""
        if self.answered is not None and self.answered.is_accepted_for_less:
            return False
        return self.ended and (self.is_flat or self.state in (RowState.ACCEPTED, RowState.CANCELLED))

    @property
    def is_flat(self) -> bool:
        """Whether nothing is left of its target, as last read."""
        return self.residual is not None and self.residual == 0


class Decision(Frozen):
    """What a person decided about one digest of one operation. Single use."""

    operation_id: str
    digest: str
    channel: Channel
    approved: bool
    by: str = Field(min_length=1)
    """Who is recorded: the client's name for elicitation, the approver's fingerprint at the desk."""
    decided_at: AwareDatetime
    expires_at: AwareDatetime
    call: str = ""
    """The call that an elicited yes belongs to; no other may use it."""
    signature: str | None = None
    """Ed25519 in hexadecimal, present where it came from the passphrase."""
    note: str = added("0.2.0", default="")
    """What the person wrote to who asked. Cleaned; to be quoted as data."""
    origin: str = added("0.2.0", default="")
    """Where the decision was made: the desk's address, or the terminal."""
    of_preview: bool = added("0.2.0", default=False)
    """Whether nobody had asked to send it yet: the call that asks then sends it, and no other."""
    signed: SignedStatement | None = added("0.2.0", default=None)
    """What the person signed, with name, credential and note; `signature` is that of releases before it."""
    first: SignedStatement | None = added("0.2.0", default=None)
    """What another person had signed before, where it takes two."""

    mandate: str = added("0.2.0", default="")
    """The id of the mandate that it was sent under; its signature is the evidence, and this names it."""
    left: str = added("0.2.0", default="")
    """What that left of the mandate, in words."""

    def model_post_init(self, _context: object) -> None:
        if bool(self.mandate) != (self.channel is Channel.MANDATE):
            raise ValueError("what is sent under a mandate names it")
        by_itself = self.channel in (Channel.DESK, Channel.TERMINAL)
        if self.approved and by_itself and not (self.signature or self.signed):
            raise ValueError(f"a yes from the {self.channel} is signed")

    @property
    def on_word_of(self) -> tuple[str, ...]:
        """The approvers by name on whose word it is sent: who signed it, or the mandate that it goes under."""
        signed = [each.statement.name for each in (self.first, self.signed) if each is not None]
        return (self.by,) if self.mandate else tuple(signed)


class Operation(Frozen):
    """A plan and its history. `rows` stand in the plan's order, one for each target."""

    plan: Plan
    stage: Stage = Stage.PLANNED
    reason: str = ""
    """Why it is in this stage, where that needs saying."""
    rows: tuple[Row, ...]
    decision: Decision | None = None
    lease: Lease | None = None
    updated_at: AwareDatetime

    def model_post_init(self, _context: object) -> None:
        if [row.position for row in self.rows] != list(range(len(self.plan.targets))):
            raise ValueError("an operation has one row for each target of its plan, in order")
        if (self.stage is Stage.CLAIMED) != (self.lease is not None):
            raise ValueError("an operation is leased exactly while it is claimed")
        if self.stage in (Stage.APPROVED, Stage.CLAIMED, Stage.FINISHED):
            decision = self.decision
            if not decision or not decision.approved or decision.digest != self.plan.digest:
                raise ValueError(f"{self.stage} needs an approval of this plan")
        elif any(row.state is not RowState.NOT_SENT for row in self.rows):
            raise ValueError(f"nothing can have been sent in stage {self.stage}")
        if self.stage is not Stage.CLAIMED and any(row.state is RowState.SENDING for row in self.rows):
            raise ValueError("a row is sent only while its operation is claimed")

    @classmethod
    def planned(cls, plan: Plan) -> Operation:
        """A new operation, with nothing decided and nothing sent."""
        rows = tuple(Row(position=position) for position in range(len(plan.targets)))
        return cls(plan=plan, rows=rows, updated_at=plan.created_at)

    @property
    def operation_id(self) -> str:
        return self.plan.plan_id

    @property
    def account_id(self) -> AccountId:
        return self.plan.account_id

    @property
    def is_previewed(self) -> bool:
        """Whether nobody has asked to send it yet."""
        return self.stage is Stage.PLANNED

    def state(self, now: datetime) -> OperationState:
        if self.stage.is_open:
            return OperationState.EXPIRED if self.plan.is_expired(now) else OperationState(self.stage.value)
        if self.stage is Stage.APPROVED:
            lapsed = self.decision is not None and now >= self.decision.expires_at
            return OperationState.LAPSED if lapsed else OperationState.APPROVED
        if self.lease is not None and now < self.lease.until:
            return OperationState.SENDING
        if self.stage in (Stage.CLAIMED, Stage.FINISHED):
            return _state_of_finished(self.rows)
        return OperationState(self.stage.value)


def _state_of_finished(rows: Sequence[Row]) -> OperationState:
    if any(row.is_not_known for row in rows):
        return OperationState.UNKNOWN
    if any(row.resolution for row in rows):
        return OperationState.RECONCILED
    if all(row.is_done for row in rows):
        return OperationState.CLOSED
    sent = [row for row in rows if row.has_effect]
    if not sent:
        rejected = any(row.state is RowState.REJECTED for row in rows)
        return OperationState.REJECTED if rejected else OperationState.LAPSED
    short_of_it = [row for row in rows if not row.has_effect and not row.is_flat]
    left_over = [row for row in sent if row.ended and not row.is_done]
    return OperationState.PARTIAL if short_of_it or left_over else OperationState.SUBMITTED
