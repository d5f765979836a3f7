"""What a person signs: one form for every purpose. The signature covers the canonical JSON of the statement."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Frozen, Mode

_BASE64URL = r"^[A-Za-z0-9_-]+$"
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


class SignedStatement(Frozen):
    """A statement and who is said to have signed it. It proves nothing before `signing.statements.signer` says who."""

    statement: Statement
    signature: Signature

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, signature included."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def by(self) -> str:
        """Name and credential, for people and records."""
        return f"{self.statement.name} {self.statement.credential}"
