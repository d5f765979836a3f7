"""What a person keeps over the program: the halt, the approver's key, and the journal that can be verified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.growth import added
from positions_mcp.domain.operation.plan import Frozen, Kind, Plan, canonical_json

_HASH = re.compile(r" sha256:[0-9a-f]{64}$")


class Trade(StrEnum):
    """What a halt of one kind stops."""

    CLOSE = "close"
    """Closing positions."""
    EXERCISE = "exercise"
    """Exercise instructions and their cancels."""

    @classmethod
    def of(cls, kind: Kind) -> Trade:
        """What a plan of that kind does."""
        return cls.CLOSE if kind.is_close else cls.EXERCISE


class Halt(Frozen):
    """Nothing destructive that it covers is sent while it stands; only a person clears it.

    With no account, caller or kind it covers everything; each of them narrows it.
    """

    reason: str
    by: str
    at: AwareDatetime
    account_id: AccountId | None = added("0.2.0", default=None)
    """Of PAPER and of LIVE."""
    caller: str = added("0.2.0", default="")
    """As plans name it, or the part of that which a person knows: a client's name, a token's subject."""
    kind: Trade | None = added("0.2.0", default=None)

    def covers(self, plan: Plan) -> bool:
        """Whether a plan may not be sent while it stands."""
        return (
            self.account_id in (None, plan.account_id)
            and (not self.caller or may_be_called(plan.caller, self.caller))
            and self.kind in (None, Trade.of(plan.kind))
        )

    def covers_all_of(self, caller: str) -> bool:
        """Whether nothing that a caller asks for may be sent while it stands."""
        named = not self.caller or may_be_called(caller, self.caller)
        return named and self.account_id is None and self.kind is None

    @property
    def is_of_everything(self) -> bool:
        return self.account_id is None and not self.caller and self.kind is None

    def has_scope_of(self, other: Halt) -> bool:
        return (self.account_id, self.caller, self.kind) == (other.account_id, other.caller, other.kind)

    @property
    def scope(self) -> str:
        what = {Trade.CLOSE: "closing positions", Trade.EXERCISE: "exercise instructions"}
        said = what[self.kind] if self.kind else "everything destructive"
        where = f" in account {self.account_id}" if self.account_id is not None else ""
        return said + where + (f" asked for by {self.caller}" if self.caller else "")


def covering(halts: Sequence[Halt], plan: Plan) -> tuple[Halt, ...]:
    """The halts that keep a plan from being sent."""
    return tuple(halt for halt in halts if halt.covers(plan))


def is_called(caller: str, name: str) -> bool:
    """Whether a person who says `name` means this caller: all of it, or its client's name or token's subject."""
    caller, name = caller.casefold(), name.casefold()
    return caller == name or caller.endswith((f" through {name}", f"token of {name}"))


def may_be_called(caller: str, name: str) -> bool:
    """The same, and also by what is shown of a name beside its hash: enough to stop somebody, not to let one pass."""
    return is_called(caller, name) or is_called(without_hash(caller), name)


def without_hash(caller: str) -> str:
    """What is shown of a caller's name beside the hash that tells it from others."""
    return _HASH.sub("", caller)


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
    """One line of a hash chain: what happened, to what, and the state it left behind."""

    sequence: int = Field(ge=1)
    """In the order in which an account's entries were written, and those of no account."""
    at: AwareDatetime
    event: str
    operation_id: str | None
    content: dict[str, Any]
    state_digest: str | None
    """SHA-256 of what the entry's subject looked like afterwards."""
    previous: str
    """The hash of the entry before it in its chain."""
    hash: str
    chain: str = added("0.2.0", default="")
    """The account's, by mode and number; empty for what is about no account, and for all of 0.1.0."""

    def expected_hash(self) -> str:
        body = self.model_dump(mode="json", exclude={"hash"})
        return hashlib.sha256(canonical_json(body)).hexdigest()


class Verification(Frozen):
    """Whether the journal and what it describes are unaltered."""

    intact: bool
    entries: int
    head: str
    """Stands for the end of every chain: note it elsewhere, and a cut tail shows too."""
    problem: str = ""


class StoreStatus(Frozen):
    """Whether the store can be written, and why not."""

    writable: bool
    reason: str = ""
    schema_version: int
    place: str
