"""What a person keeps over the program: the halt, the approver's key, and the journal that can be verified."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import AwareDatetime, Field

from positions_mcp.domain.operation.plan import Frozen, canonical_json


class Halt(Frozen):
    """Nothing destructive is sent while it stands; only a person clears it."""

    reason: str
    by: str
    at: AwareDatetime


class Approver(Frozen):
    """The key against which desk decisions are verified. The private half exists only while a passphrase is typed."""

    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Ed25519, hexadecimal."""
    salt: str = Field(pattern=r"^[0-9a-f]{32,}$")
    scrypt_n: int
    scrypt_r: int
    scrypt_p: int
    created_at: AwareDatetime
    previous_public_key: str | None = None
    endorsement: str | None = None
    """The previous key's signature over this one: a replacement needs the old passphrase."""

    @property
    def fingerprint(self) -> str:
        """A short name of the key for people and records."""
        return hashlib.sha256(bytes.fromhex(self.public_key)).hexdigest()[:12]


class JournalEntry(Frozen):
    """One line of the hash chain: what happened, to what, and the state it left behind."""

    sequence: int = Field(ge=1)
    at: AwareDatetime
    event: str
    operation_id: str | None
    content: dict[str, Any]
    state_digest: str | None
    """SHA-256 of what the entry's subject looked like afterwards."""
    previous: str
    hash: str

    def expected_hash(self) -> str:
        """What `hash` must be."""
        body = self.model_dump(mode="json", exclude={"hash"})
        return hashlib.sha256(canonical_json(body)).hexdigest()


class Verification(Frozen):
    """Whether the journal and what it describes are unaltered."""

    intact: bool
    entries: int
    head: str
    """Hash of the last entry: note it elsewhere, and a cut tail shows too."""
    problem: str = ""


class StoreStatus(Frozen):
    """Whether the store can be written, and why not."""

    writable: bool
    reason: str = ""
    schema_version: int
    place: str
