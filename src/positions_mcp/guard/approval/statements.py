"""Desk decisions as release 0.1.0 signs them: Ed25519 signatures with a key of the approver's passphrase."""

from __future__ import annotations

from datetime import datetime, timedelta

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.credentials import PassphraseKey
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.ports import Clock
from positions_mcp.signing.keys import Hardness, new_key, unlock
from positions_mcp.signing.release_1 import Approval, Endorsement, is_approved_by


def new_approver(
    passphrase: str,
    now: datetime,
    *,
    hardness: Hardness | None = None,
    replacing: Approver | None = None,
    old_passphrase: str = "",
) -> Approver:
    """A new approver. Replacing one needs its passphrase, which endorses the new key.

    Raises:
        InvalidInput: the passphrase is too short.
        Refused: the old passphrase is wrong.
    """
    key = new_key(passphrase, now, hardness=hardness).key
    approver = Approver.model_validate(key.model_dump(exclude={"kind"}))
    if replacing is None:
        return approver
    endorsement = Endorsement(public_key=key.public_key).canonical
    old = unlock(PassphraseKey.of(replacing), old_passphrase)
    return approver.changed(previous_public_key=replacing.public_key, endorsement=old.sign(endorsement))


def sign(
    approver: Approver, passphrase: str, plan: Plan, *, channel: Channel, clock: Clock, lifetime: timedelta | None
) -> Decision:
    """A signed yes to one plan, good for `lifetime`, or without one as long as the plan. Raises WrongPassphrase.

    The time is taken once the key is derived, which is slow on purpose.
    """
    key = unlock(PassphraseKey.of(approver), passphrase)
    now = clock.now()
    decision = Decision(
        operation_id=plan.plan_id,
        digest=plan.digest,
        channel=channel,
        approved=True,
        by=f"approver {approver.fingerprint}",
        decided_at=now,
        expires_at=plan.expires_at if lifetime is None else now + lifetime,
        signature="unsigned",
    )
    return decision.changed(signature=key.sign(Approval.of(plan, decision).canonical))


def verify(approver: Approver | None, plan: Plan, decision: Decision) -> None:
    """Raise Refused unless the approver signed exactly this plan until exactly this time."""
    if approver is None or not is_approved_by(approver, plan, decision):
        raise Refused(
            f"The approval of {plan.plan_id} is not signed by the approver.",
            hint="Nothing was sent. The store may have been altered: run positions-mcp operations verify.",
        )


def check_passphrase(approver: Approver, passphrase: str) -> None:
    """Raise Refused unless it is the approver's passphrase."""
    unlock(PassphraseKey.of(approver), passphrase)
