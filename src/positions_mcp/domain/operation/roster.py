"""Who may decide what: named members with their credentials and rights, and the chain of signed changes to them.

Whether a member may approve a plan, and how many people it takes, follows from these (D-05).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum, is_sensible
from positions_mcp.domain.operation.plan import Digested, Frozen, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.statements import Credential, PassphraseKey, SignedStatement
from positions_mcp.domain.operation.supervision import Approver, without_hash
from positions_mcp.domain.text import clean

FIRST_NAME = "approver"
"""What the only approver is called unless a person chose another name; so is the one of a store of 0.1.0."""
LONGEST_NAME = 40
ANYTHING: Literal["anything"] = "anything"


def plain_name(name: str) -> str:
    """A name that can be one person's. Raises ValueError."""
    if not name or clean(name, LONGEST_NAME) != name or unicodedata.normalize("NFKC", name) != name:
        raise ValueError(f"a name is 1 to {LONGEST_NAME} plain characters")
    return name


def _dollars(amount: Decimal) -> Decimal:
    if not is_sensible(amount) or amount < 0:
        raise ValueError("an amount is dollars, 0 or more")
    return amount


Name = Annotated[str, AfterValidator(plain_name)]
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

    def model_post_init(self, _context: object) -> None:
        if _twice(rights.account_id for rights in self.rights):
            raise ValueError("rights in an account are said once")

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
        everywhere = any(rights.account_id is None for rights in self.rights)
        return everywhere and all(rights.resumes_and_settles for rights in self.rights)


class Roster(Digested):
    """The members as they are from one signed change to the next."""

    version: int = Field(ge=1)
    previous: str = ""
    """Digest of the link before it; of the roster that an approver of 0.1.0 is read as; empty for the first."""
    members: tuple[Member, ...]

    def model_post_init(self, _context: object) -> None:
        if names := _twice(member.name.casefold() for member in self.members):
            raise ValueError(f"two approvers are called {names[0]}")
        if _twice(each.fingerprint for member in self.members for each in member.credentials):
            raise ValueError("a credential is one person's, once")
        if not any(member.manages for member in self.members):
            raise ValueError("somebody has to be able to change the roster")

    @classmethod
    def of(cls, approver: Approver) -> Roster:
        """What the approver of 0.1.0 is read as: one member with all rights."""
        return cls(version=1, members=(whole_member(FIRST_NAME, PassphraseKey.of(approver)),))

    def member(self, name: str) -> Member | None:
        """The member of that name, however it is capitalised."""
        return next((each for each in self.members if each.name.casefold() == name.strip().casefold()), None)

    def holder_of(self, fingerprint: str) -> tuple[Member, Credential] | None:
        every = ((member, each) for member in self.members for each in member.credentials)
        return next(((member, each) for member, each in every if each.fingerprint == fingerprint), None)

    @property
    def only(self) -> Member | None:
        return self.members[0] if len(self.members) == 1 else None


class RosterLink(Digested):
    """A whole new roster, signed by a member of the one before who may manage it; the first one by its own."""

    roster: Roster
    signed: SignedStatement


def whole_member(name: str, credential: Credential) -> Member:
    """A member with every right in every account."""
    everything = Rights(approves=ANYTHING, resumes_and_settles=True)
    return Member(name=name, credentials=(credential,), rights=(everything,), manages=True)


def _twice(values: Iterable[object]) -> list[object]:
    """The values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


TWO = 2


def persons_needed(policy: Policy, plan: Plan, used_today: Decimal, to_come: Decimal | None = None) -> int:
    """How many different people have to approve a plan: one, or two.

    The threshold is cumulative over the account's day, so that splitting a plan gains nothing: `to_come` is what of the
    plan is not in `used_today` yet, all of it unless it is said. A plan whose size is not fully known counts as one
    above it. A person who flattens decides alone.
    """
    if plan.flatten:
        return 1
    if policy.two_persons_for_close_all and plan.kind.is_account_wide:
        return TWO
    above = policy.two_persons_above
    to_come = plan.measure if to_come is None else to_come
    if above is None or (_is_priced(plan) and exact_sum([used_today, to_come]) <= above):
        return 1
    return TWO


def why_not_approve(
    roster: Roster, member: Member, plan: Plan, approved_today: Decimal, size: Decimal | None = None
) -> str:
    """Why a member may not approve a plan, in a sentence; empty where they may.

    `approved_today` is what else was sent, or is being sent, on their word in its account today; `size` what the plan
    comes to by now. Somebody who flattens needs to be allowed to approve there at all: no amount stands in the way out.
    """
    rights = member.rights_in(plan.account_id)
    if rights is None or rights.approves == 0:
        return f"{member.name} may not approve in account {plan.account_id}."
    if plan.flatten:
        return ""
    if why := why_not_own(roster, member, plan):
        return why
    if rights.approves == ANYTHING:
        return ""
    if not _is_priced(plan):
        return f"{member.name} may approve up to ${rights.approves:,f} a day, and a price is missing: it may be more."
    size = plan.measure if size is None else size
    if exact_sum([approved_today, size]) > rights.approves:
        return (
            f"{member.name} may approve up to ${rights.approves:,f} a day in account {plan.account_id}: "
            f"${approved_today:,f} is used, and this is ${size:,f}."
        )
    return ""


def why_not_own(roster: Roster, member: Member, plan: Plan) -> str:
    """That a member asked for the plan themselves, where others could approve it; empty otherwise."""
    if len(roster.members) > 1 and asks_as(member, plan.caller):
        return f"{member.name} asked for it (as {plan.caller}), and nobody approves what they asked for."
    return ""


def asks_as(member: Member, caller: str) -> bool:
    """Whether a caller is this person: a token's subject or a user of the system that is one of their names."""
    whole, said = caller.casefold(), without_hash(caller).casefold()
    names = [name.casefold() for name in (member.name, *member.callers)]
    return any({whole, said} & {name, f"token of {name}"} or said.startswith(f"{name} through ") for name in names)


def able(roster: Roster, plan: Plan) -> tuple[Member, ...]:
    """Those who could approve a plan, whatever else they have approved today."""
    return tuple(member for member in roster.members if not why_not_approve(roster, member, plan, Decimal(0)))


def _is_priced(plan: Plan) -> bool:
    return all(target.priced for target in plan.targets)
