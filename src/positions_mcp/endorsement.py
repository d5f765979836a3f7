"""Who may follow an approver: only a key that the one before it signed, which takes the old passphrase."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.operation.supervision import Approver


class Endorsement(Frozen):
    """What the previous key signs of a new one."""

    purpose: Literal["positions-mcp approver"] = "positions-mcp approver"
    public_key: str


def endorsed(public_key: str) -> bytes:
    """The bytes that the previous key signs of a new one."""
    return Endorsement(public_key=public_key).canonical


def succeeds(approver: Approver, earlier: Approver) -> bool:
    """Whether `approver` is `earlier` itself, or replaced it with its passphrase."""
    if approver.public_key == earlier.public_key:
        return True
    named = approver.previous_public_key == earlier.public_key and approver.endorsement is not None
    return named and verifies(earlier.public_key, approver.endorsement or "", endorsed(approver.public_key))


def is_chain(approvers: Sequence[Approver]) -> bool:
    """Whether each approver but the first was endorsed by the one before it."""
    return all(succeeds(later, earlier) for earlier, later in pairwise(approvers))


def verifies(public_key: str, signature: str, statement: bytes) -> bool:
    """Whether an Ed25519 signature, in hexadecimal, is that of the key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), statement)
    except (InvalidSignature, ValueError):
        return False
    return True
