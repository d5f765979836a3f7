"""Desk decisions: Ed25519 signatures with a key that is derived from the supervisor's passphrase and never stored.

The passphrase goes through scrypt to the seed of the private key. What is stored is the public key and the salt, so
verifying needs no secret, and the model, the tools and the store never see one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.endorsement import endorsed, verifies
from positions_mcp.ports import Clock

SHORTEST_PASSPHRASE = 12


@dataclass(frozen=True, slots=True)
class Hardness:
    """scrypt's cost. The default takes about 128 MiB and half a second for each guess."""

    n: int = 2**17
    r: int = 8
    p: int = 1


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
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidInput(
            f"The passphrase is shorter than {SHORTEST_PASSPHRASE} characters.", hint="Four random words are good."
        )
    cost = hardness or Hardness()
    salt = secrets.token_bytes(16)
    public = _public_key(_seed(passphrase, salt, cost))
    return Approver(
        public_key=public,
        salt=salt.hex(),
        scrypt_n=cost.n,
        scrypt_r=cost.r,
        scrypt_p=cost.p,
        created_at=now,
        previous_public_key=replacing.public_key if replacing else None,
        endorsement=_sign(replacing, old_passphrase, endorsed(public)) if replacing else None,
    )


class WrongPassphrase(Refused):
    """It is not the approver's. Nothing was decided."""


def sign(
    approver: Approver, passphrase: str, plan: Plan, *, channel: Channel, clock: Clock, lifetime: timedelta | None
) -> Decision:
    """A signed yes to one plan, good for `lifetime`, or without one as long as the plan. Raises WrongPassphrase.

    The time is taken once the key is derived, which is slow on purpose.
    """
    key = _private(approver, passphrase)
    now = clock.now()
    until = plan.expires_at if lifetime is None else now + lifetime
    return Decision(
        operation_id=plan.plan_id,
        digest=plan.digest,
        channel=channel,
        approved=True,
        by=f"approver {approver.fingerprint}",
        decided_at=now,
        expires_at=until,
        signature=_signature(key, _statement(plan, until)),
    )


def verify(approver: Approver | None, plan: Plan, decision: Decision) -> None:
    """Raise Refused unless the approver signed exactly this plan until exactly this time."""
    signature = decision.signature or ""
    if approver is None or not verifies(approver.public_key, signature, _statement(plan, decision.expires_at)):
        raise Refused(
            f"The approval of {plan.plan_id} is not signed by the approver.",
            hint="Nothing was sent. The store may have been altered: run positions-mcp operations verify.",
        )


def check_passphrase(approver: Approver, passphrase: str) -> None:
    """Raise Refused unless it is the approver's passphrase."""
    _private(approver, passphrase)


class Approval(Frozen):
    """What is signed of a yes."""

    purpose: Literal["positions-mcp approval"] = "positions-mcp approval"
    mode: Mode
    account: AccountId
    operation: str
    digest: str
    expires_at: str


def _statement(plan: Plan, until: datetime) -> bytes:
    expires_at = until.astimezone(UTC).isoformat(timespec="microseconds")
    return Approval(
        mode=plan.mode, account=plan.account_id, operation=plan.plan_id, digest=plan.digest, expires_at=expires_at
    ).canonical


def _sign(approver: Approver, passphrase: str, statement: bytes) -> str:
    return _signature(_private(approver, passphrase), statement)


def _signature(seed: bytes, statement: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign(statement).hex()


def _private(approver: Approver, passphrase: str) -> bytes:
    cost = Hardness(approver.scrypt_n, approver.scrypt_r, approver.scrypt_p)
    seed = _seed(passphrase, bytes.fromhex(approver.salt), cost)
    if not secrets.compare_digest(_public_key(seed), approver.public_key):
        raise WrongPassphrase("The passphrase is not the approver's.", hint="Nothing was decided.")
    return seed


def _seed(passphrase: str, salt: bytes, cost: Hardness) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(passphrase.encode())


def _public_key(seed: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()
