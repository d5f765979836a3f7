"""Who may decide what: named members with their credentials and rights, and the chain of signed changes to them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import is_sensible
from positions_mcp.domain.operation.credentials import Credential, PassphraseKey
from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.domain.text import clean

FIRST_NAME = "approver"
"""What the only approver is called unless a person chose another name; so is the one of a store of 0.1.0."""
LONGEST_NAME = 40
ANYTHING: Literal["anything"] = "anything"


def _plain_name(name: str) -> str:
    if not name or clean(name, LONGEST_NAME) != name or unicodedata.normalize("NFKC", name) != name:
        raise ValueError(f"a name is 1 to {LONGEST_NAME} plain characters")
    return name


def _dollars(amount: Decimal) -> Decimal:
    if not is_sensible(amount) or amount < 0:
        raise ValueError("an amount is dollars, 0 or more")
    return amount


Name = Annotated[str, AfterValidator(_plain_name)]
Dollars = Annotated[Decimal, AfterValidator(_dollars)]


class Rights(Frozen):
    """What a member may do in one account, or in every account that none of the member's other rights names.

    Who has any rights in an account sees it.
    """

    account_id: AccountId | None = None
    """None stands for every account that is not named."""
    approves: Literal["anything"] | Dollars = Decimal(0)
    """Up to how many dollars of one New York day; 0 is nothing."""
    resumes_and_settles: bool = False
    """Whether they may end halts and settle outcomes."""


class Member(Frozen):
    """One person."""

    name: Name
    credentials: tuple[Credential, ...] = Field(min_length=1)
    rights: tuple[Rights, ...] = Field(min_length=1)
    manages: bool = False
    """Whether they may change the roster."""
    callers: tuple[str, ...] = ()
    """Names by which this person asks for plans, beside their own: a token's subject, a user of the system."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if _twice(rights.account_id for rights in self.rights):
            raise ValueError("rights in an account are said once")
        return self

    def rights_in(self, account_id: AccountId) -> Rights | None:
        """Their rights in an account; None where they have none, and so do not see it."""
        of_each = {rights.account_id: rights for rights in self.rights}
        return of_each.get(account_id) or of_each.get(None)

    def sees(self, account_id: AccountId | None) -> bool:
        """Whether they see an account; and what is about no account in particular, as everybody does."""
        return account_id is None or self.rights_in(account_id) is not None

    @property
    def only_sees(self) -> frozenset[AccountId] | None:
        """The accounts that they see; None where those are all."""
        named = [rights.account_id for rights in self.rights]
        return None if None in named else frozenset(each for each in named if each is not None)

    @property
    def resumes_everywhere(self) -> bool:
        """Whether they may end a halt of every account."""
        everywhere = any(rights.account_id is None for rights in self.rights)
        return everywhere and all(rights.resumes_and_settles for rights in self.rights)


class Roster(Frozen):
    """The members as they are from one signed change to the next."""

    version: int = Field(ge=1)
    previous: str = ""
    """Digest of the link before it; of the roster that an approver of 0.1.0 is read as; empty for the first."""
    members: tuple[Member, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if names := _twice(member.name.casefold() for member in self.members):
            raise ValueError(f"two approvers are called {names[0]}")
        if _twice(each.fingerprint for member in self.members for each in member.credentials):
            raise ValueError("a credential is one person's, once")
        if not any(member.manages for member in self.members):
            raise ValueError("somebody has to be able to change the roster")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical).hexdigest()

    @classmethod
    def of(cls, approver: Approver) -> Roster:
        """What the approver of 0.1.0 is read as: one member with all rights."""
        return cls(version=1, members=(whole_member(FIRST_NAME, PassphraseKey.of(approver)),))

    def member(self, name: str) -> Member | None:
        """The member of that name, however it is capitalised."""
        return next((each for each in self.members if each.name.casefold() == name.strip().casefold()), None)

    def holder_of(self, fingerprint: str) -> tuple[Member, Credential] | None:
        """The member whose credential that is, with it."""
        every = ((member, each) for member in self.members for each in member.credentials)
        return next(((member, each) for member, each in every if each.fingerprint == fingerprint), None)

    @property
    def only(self) -> Member | None:
        """The one member, where there is only one."""
        return self.members[0] if len(self.members) == 1 else None


class RosterLink(Frozen):
    """A whole new roster, signed by a member of the one before who may manage it; the first one by its own."""

    roster: Roster
    signed: SignedStatement

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, signature included."""
        return hashlib.sha256(self.canonical).hexdigest()


def whole_member(name: str, credential: Credential) -> Member:
    """A member with every right in every account."""
    everything = Rights(approves=ANYTHING, resumes_and_settles=True)
    return Member(name=name, credentials=(credential,), rights=(everything,), manages=True)


def _twice(values: Iterable[object]) -> list[object]:
    """The values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]
