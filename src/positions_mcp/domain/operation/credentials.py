"""What an approver signs with: a key that comes of a passphrase, or a passkey. Only public parts are stored."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.operation.supervision import Approver

_BASE64URL = r"^[A-Za-z0-9_-]+$"
_HEX = r"^(?:[0-9a-f]{2})+$"


class PassphraseKey(Frozen):
    """An Ed25519 key. Its private half is derived from the passphrase each time, and exists only meanwhile."""

    kind: Literal["passphrase"] = "passphrase"
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hexadecimal."""
    salt: str = Field(pattern=r"^[0-9a-f]{32,}$")
    scrypt_n: int
    scrypt_r: int
    scrypt_p: int
    created_at: AwareDatetime

    @classmethod
    def of(cls, approver: Approver) -> PassphraseKey:
        """The same key as release 0.1.0 stored it."""
        return cls.model_validate(approver.model_dump(exclude={"previous_public_key", "endorsement"}))

    @property
    def fingerprint(self) -> str:
        """A short name for people, statements and records."""
        return _short(bytes.fromhex(self.public_key))


class Passkey(Frozen):
    """A WebAuthn credential: the private half never leaves the person's device."""

    kind: Literal["passkey"] = "passkey"
    credential_id: str = Field(pattern=_BASE64URL, max_length=1366)
    """As the authenticator named it, base64url without padding."""
    public_key: str = Field(pattern=_HEX, max_length=2048)
    """SubjectPublicKeyInfo (DER), hexadecimal; it says its algorithm itself."""
    relying_party: str = Field(min_length=1, max_length=253)
    """The host name it was made for: that of the desk."""
    sign_count: int = Field(ge=0)
    """As seen when it was enrolled; 0 from authenticators that do not count."""
    created_at: AwareDatetime

    @property
    def fingerprint(self) -> str:
        """A short name for people, statements and records."""
        return _short(bytes.fromhex(self.public_key))


Credential = Annotated[PassphraseKey | Passkey, Field(discriminator="kind")]


def _short(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:12]
