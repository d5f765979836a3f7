"""Ed25519 keys that are derived from a passphrase and never stored.

The passphrase goes through scrypt to the seed of the private key. What is stored is the public key and the salt, so
verifying needs no secret, and the model, the tools and the store never see one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.operation.statements import PassphraseKey

SHORTEST_PASSPHRASE = 12


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """scrypt's cost. The default takes about 128 MiB and half a second for each guess."""

    n: int = 2**17
    r: int = 8
    p: int = 1


class WrongPassphrase(Refused):
    """It is not that of the key. Nothing was decided."""


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A key whose passphrase was typed. It lives as long as one signature takes."""

    key: PassphraseKey
    _seed: bytes

    def sign(self, message: bytes) -> str:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed).sign(message).hex()


def new_key(passphrase: str, now: datetime, *, hardness: ScryptCost | None = None) -> Unlocked:
    """A key of a new passphrase. Raises InvalidInput where that is too short."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidInput(
            f"The passphrase is shorter than {SHORTEST_PASSPHRASE} characters.", hint="Four random words are good."
        )
    cost, salt = hardness or ScryptCost(), secrets.token_bytes(16)
    seed = _seed(passphrase, salt, cost)
    key = PassphraseKey(
        public_key=_public_key(seed), salt=salt.hex(), scrypt_n=cost.n, scrypt_r=cost.r, scrypt_p=cost.p, created_at=now
    )
    return Unlocked(key, seed)


def unlock(key: PassphraseKey, passphrase: str) -> Unlocked:
    """The key with its private half, which takes half a second on purpose. Raises WrongPassphrase."""
    seed = _seed(passphrase, bytes.fromhex(key.salt), ScryptCost(key.scrypt_n, key.scrypt_r, key.scrypt_p))
    if not secrets.compare_digest(_public_key(seed), key.public_key):
        raise WrongPassphrase("The passphrase is not the approver's.", hint="Nothing was decided.")
    return Unlocked(key, seed)


def opens(key: PassphraseKey, passphrase: str) -> bool:
    """Whether it is the key's passphrase; as slow as `unlock`."""
    try:
        unlock(key, passphrase)
    except WrongPassphrase:
        return False
    return True


def verifies(public_key: str, signature: str, message: bytes) -> bool:
    """Whether an Ed25519 signature, in hexadecimal, is that of the key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _seed(passphrase: str, salt: bytes, cost: ScryptCost) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(passphrase.encode())


def _public_key(seed: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()
