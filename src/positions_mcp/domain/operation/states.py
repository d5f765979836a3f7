"""The states of rows and operations: closed, and named as people are told of them."""

from __future__ import annotations

from enum import StrEnum


class RowState(StrEnum):
    """What is known of one target's request."""

    NOT_SENT = "NOT_SENT"
    SENDING = "SENDING"
    """Journalled before the first byte leaves; a lease says until when the answer may come."""
    SUBMITTED = "SUBMITTED"
    """Accepted. Not closed: `residual` says what is left."""
    QUEUED = "QUEUED"
    """Accepted, waiting for a session."""
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    """Sent, and whether it took effect is not known."""
    DEVIATED = "DEVIATED"
    """Accepted with another side or quantity than planned."""
    SENT = "SENT"
    """An instruction handed to clearing, not yet accepted."""
    ACCEPTED = "ACCEPTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELLED = "CANCELLED"
    CANCEL_FAILED = "CANCEL_FAILED"

    @property
    def took_effect(self) -> bool:
        """Whether the upstream is known to have accepted something for this row."""
        return self not in (RowState.NOT_SENT, RowState.SENDING, RowState.REJECTED, RowState.UNKNOWN)


class Stage(StrEnum):
    """How far an operation has come; what is stored."""

    PLANNED = "PLANNED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    APPROVED = "APPROVED"
    CLAIMED = "CLAIMED"
    """One process, and no other, may send its rows."""
    FINISHED = "FINISHED"
    """No more rows will be sent."""
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    LAPSED = "LAPSED"
    STALE = "STALE"
    REFUSED = "REFUSED"

    @property
    def is_open(self) -> bool:
        """Whether it may still be decided about."""
        return self in (Stage.PLANNED, Stage.AWAITING_APPROVAL)


class OperationState(StrEnum):
    """What an operation is said to be. Derived, never stored."""

    PLANNED = "PLANNED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    APPROVED = "APPROVED"
    SENDING = "SENDING"
    SUBMITTED = "SUBMITTED"
    CLOSED = "CLOSED"
    PARTIAL = "PARTIAL"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    LAPSED = "LAPSED"
    STALE = "STALE"
    REFUSED = "REFUSED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    RECONCILED = "RECONCILED"
