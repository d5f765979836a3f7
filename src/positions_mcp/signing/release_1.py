"""Signatures of release 0.1.0, which stay good where they are recorded: one approver, replaced with its passphrase."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from itertools import pairwise
from typing import Literal

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.signing.keys import verifies


class Endorsement(Frozen):
    """What the previous key signs of a new one."""

    purpose: Literal["positions-mcp approver"] = "positions-mcp approver"
    public_key: str


class Approval(Frozen):
    """What is signed of a yes."""

    purpose: Literal["positions-mcp approval"] = "positions-mcp approval"
    mode: Mode
    account: AccountId
    operation: str
    digest: str
    expires_at: str

    @classmethod
    def of(cls, plan: Plan, decision: Decision) -> Approval:
        until = decision.expires_at.astimezone(UTC).isoformat(timespec="microseconds")
        return cls(
            mode=plan.mode, account=plan.account_id, operation=plan.plan_id, digest=plan.digest, expires_at=until
        )


def succeeds(approver: Approver, earlier: Approver) -> bool:
    """Whether `approver` is `earlier` itself, or replaced it with its passphrase."""
    if approver.public_key == earlier.public_key:
        return True
    if approver.previous_public_key != earlier.public_key or approver.endorsement is None:
        return False
    return verifies(earlier.public_key, approver.endorsement, Endorsement(public_key=approver.public_key).canonical)


def is_chain(approvers: Sequence[Approver]) -> bool:
    """Whether each approver but the first was endorsed by the one before it."""
    return all(succeeds(later, earlier) for earlier, later in pairwise(approvers))


def is_approved_by(approver: Approver, plan: Plan, decision: Decision) -> bool:
    """Whether the approver signed exactly this plan until exactly this time."""
    return verifies(approver.public_key, decision.signature or "", Approval.of(plan, decision).canonical)
