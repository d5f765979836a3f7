"""What a person signs, and with what: a key that comes of a passphrase, or a passkey. Only public parts are stored.

There is one form for every purpose. The signature covers the canonical JSON of the statement.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Digested, Frozen, Mode
from positions_mcp.domain.operation.supervision import Approver

_BASE64URL = r"^[A-Za-z0-9_-]+$"
_ORIGIN = r"^https?://[a-z0-9.-]*[a-z][a-z0-9.-]*(?::[0-9]{1,5})?$"
"""With a name for a host: browsers make no passkeys for addresses that are numbers."""
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
    label: str = Field(min_length=1, max_length=40)
    """What its owner calls the device."""
    credential_id: str = Field(pattern=_BASE64URL, max_length=1366)
    """As the authenticator named it, base64url without padding."""
    public_key: str = Field(pattern=_HEX, max_length=2048)
    """SubjectPublicKeyInfo (DER), hexadecimal; it says its algorithm itself."""
    origin: str = Field(pattern=_ORIGIN, max_length=300)
    """The page it was made at, and the only one where it counts: scheme, host and port, as browsers write them.

    A browser lets every port of a host use its passkeys, so that another program on this machine could ask for one.
    """
    sign_count: int = Field(ge=0)
    """As seen when it was enrolled; 0 from authenticators that do not count."""
    created_at: AwareDatetime

    @property
    def fingerprint(self) -> str:
        """A short name for people, statements and records."""
        return _short(bytes.fromhex(self.public_key))

    @staticmethod
    def may_be_made_at(page: str) -> bool:
        """Whether browsers make passkeys there: the host has a name, and is no number."""
        return re.fullmatch(_ORIGIN, page) is not None


Credential = Annotated[PassphraseKey | Passkey, Field(discriminator="kind")]


def relying_party_of(origin: str) -> str:
    """The host name that passkeys of a page are made for."""
    return urlsplit(origin).hostname or ""


def _short(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:12]


_DIGEST = r"^[0-9a-f]{32,64}$"
TERMINAL = "terminal"
"""The origin of what was signed at a terminal."""


class Purpose(StrEnum):
    """What a statement is good for, and nothing else."""

    APPROVAL = "approval"
    MANDATE = "mandate"
    ROSTER = "roster"
    RESUME = "resume"
    SETTLEMENT = "settlement"
    WITHDRAWAL = "withdrawal"


class Statement(Frozen):
    """What a member of the roster says. Version 1 was release 0.1.0's approval, without name, origin and note."""

    version: Literal[2] = 2
    purpose: Purpose
    mode: Mode | None = None
    """None where it is about PAPER and LIVE: the roster, and halts."""
    account: AccountId | None = None
    operation: str = ""
    digest: str = Field(pattern=_DIGEST)
    """Of what it is about: a plan, a mandate, a roster, the halts or the row as they were shown."""
    beside: str = ""
    """Digest of what was shown with it: of the first person's signed yes, where two are needed."""
    decision: str = Field(min_length=1)
    """In a word or two: `approve`, `resume`, `took effect`."""
    name: str = Field(min_length=1)
    """The member's."""
    credential: str = Field(pattern=r"^[0-9a-f]{12}$")
    """Fingerprint of the member's credential that signs."""
    origin: str = Field(min_length=1)
    """The desk's address as the person's browser has it, or `terminal`."""
    note: str = ""
    decided_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    """Until when it may be used; None of what does not lapse."""

    @property
    def challenge(self) -> bytes:
        """SHA-256 of the canonical statement: what a passkey signs over."""
        return hashlib.sha256(self.canonical).digest()


class KeySignature(Frozen):
    """By a key of a passphrase."""

    kind: Literal["passphrase"] = "passphrase"
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    """Ed25519 over the canonical statement, hexadecimal."""


class PasskeyAssertion(Frozen):
    """By a passkey, as the browser gave it; each in base64url without padding."""

    kind: Literal["passkey"] = "passkey"
    authenticator_data: str = Field(pattern=_BASE64URL)
    client_data: str = Field(pattern=_BASE64URL)
    """The JSON of the client data. Its challenge is that of the statement."""
    signature: str = Field(pattern=_BASE64URL)


Signature = Annotated[KeySignature | PasskeyAssertion, Field(discriminator="kind")]


class SignedStatement(Digested):
    """A statement and who is said to have signed it. It proves nothing before `signing.statements.signer` says who."""

    statement: Statement
    signature: Signature

    @property
    def by(self) -> str:
        """Name and credential, for people and records."""
        return f"{self.statement.name} {self.statement.credential}"
