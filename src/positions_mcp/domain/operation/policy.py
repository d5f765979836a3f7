"""The limits within which anything destructive may be asked for, as a person configured them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import EXACT, plain
from positions_mcp.domain.operation.plan import Plan, canonical_json
from positions_mcp.domain.operation.supervision import may_be_called


class Channel(StrEnum):
    """Where a human decision came from."""

    ELICITATION = "elicitation"
    """A form the client showed; proves only what the client answered."""
    DESK = "desk"
    """A signature made with the passphrase, which the model never sees."""
    TERMINAL = "terminal"
    """A person flattening at a terminal, with the passphrase and the account typed."""
    MANDATE = "mandate"
    """What an approver signed in advance; no other decision was made about this operation."""


class Narrower(BaseModel):
    """Limits of one account, caller or right, each only where it is narrower than the common one; None leaves that."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    max_notional: Decimal | None = Field(default=None, ge=0)
    """Notional of one operation."""
    max_daily_notional: Decimal | None = Field(default=None, ge=0)
    """Notional of one account on one New York day, whoever asked for what was used."""
    max_positions: int | None = Field(default=None, ge=1)
    """Targets of one operation."""
    max_open_plans_per_caller: int | None = Field(default=None, ge=1)
    """Plans of one caller that nobody has decided yet."""
    max_operations_per_minute: int | None = Field(default=None, ge=1)
    """What one caller may ask for in one account within a minute."""
    max_operations_per_day: int | None = Field(default=None, ge=1)
    """The same on one New York day of the real clock."""
    desk_above: Decimal | None = Field(default=None, ge=0)
    """Notional, cumulative for one account and day, above which only the supervisor's page or a terminal will do."""
    two_persons_above: Decimal | None = Field(default=None, ge=0)
    """Notional, cumulative as `desk_above`, above which two different people have to approve; None is never."""
    give_up_above: Decimal | None = Field(default=None, ge=0)
    """Dollars that instructions may give up against sending nothing; above it only the desk will do."""
    allow_close_all: bool | None = None
    allow_uncovered: bool | None = None
    """Whether a plan may leave a short option without cover."""


class Policy(Narrower):
    """Limits in dollars and counts; None means no limit. A plan's notional counts against them."""

    trading_enabled: bool = False
    limits_to_choose: tuple[str, ...] = ()
    """The settings of limits that nobody has chosen yet, in live: nothing is sent before."""
    accounts: frozenset[AccountId] = frozenset()
    """The accounts that may be used; none is not all."""
    allow_instruments: frozenset[str] = frozenset()
    """Symbols, option roots or OSI symbols that may be traded; empty means any."""
    deny_instruments: frozenset[str] = frozenset()
    """Symbols, option roots or OSI symbols that may not be traded; stronger than what is allowed."""
    max_open_plans_per_caller: int = Field(default=50, ge=1)
    max_open_plans: int = Field(default=500, ge=1)
    """Plans of all callers of a mode on the store that nobody has decided yet."""
    allow_close_all: bool = True
    allow_uncovered: bool = False
    exercise_deadline: time = time(17, 30)
    """New York time of day from which no exercise instruction is sent; 17:30 at the latest."""
    tolerance: Decimal = Field(default=Decimal("0.10"), ge=0)
    """How far a price may move between plan and sending, as a fraction, before the plan is stale."""
    option_tolerance: Decimal = Field(default=Decimal("0.02"), ge=0)
    """For closes of options: how far the underlying may, and the option itself in dollars, as a fraction of it."""
    give_up_above: Decimal | None = Field(default=Decimal(100), ge=0)
    channel: Channel = Channel.ELICITATION
    """The lowest rung allowed: elicitation (then the desk), or the desk only."""
    two_persons_for_close_all: bool = False
    """Whether closing a whole account takes two people."""
    halt_after: int | None = Field(default=3, ge=1)
    """Rejected or unknown outcomes in a row that trip the halt."""
    plan_lifetime: timedelta = timedelta(minutes=5)
    approval_lifetime: timedelta = timedelta(seconds=60)
    """How long an approval waits for a call to send it."""
    book_lag_s: float = Field(default=600.0, ge=0)
    """Seconds that an instrument stays in flight where an order has filled and positions do not show it."""
    decline_rest: timedelta = timedelta(minutes=10)
    """How long a declined set of targets is not asked about again, except at the desk."""
    for_accounts: dict[AccountId, Narrower] = Field(default_factory=dict)
    for_callers: dict[str, Narrower] = Field(default_factory=dict)
    """By the caller as plans name it, or by its client's name or its token's subject, as a halt is."""

    for_rights: dict[str, Narrower] = Field(default_factory=dict)
    """By the right of a caller who has signed in: every right there is, also one that narrows nothing."""
    signing_in: str = ""
    """A short name of who may come in and for which accounts: nothing is judged by it, but replicas agree on it."""
    unknown_rights: tuple[str, ...] = ()
    """Rights of a caller that are none here: what they narrow is not known, and nothing is sent."""

    def within(self, account_id: AccountId | None, caller: str, rights: Collection[str] = ()) -> Policy:
        """What is in force for a caller in an account: of each limit the narrowest. Without an account, the caller's.

        All rights of a caller narrow, whichever of them gives the account: one more never widens anything.
        It says of nobody else, so that its fingerprint is that of what is judged by.
        """
        narrower = [each for name, each in self.for_callers.items() if may_be_called(caller, name)]
        narrower += [each for name, each in self.for_rights.items() if name in rights]
        if account_id in self.for_accounts:
            narrower.append(self.for_accounts[account_id])
        narrowed = {name: _narrowest(name, (self, *narrower)) for name in Narrower.model_fields}
        unknown = tuple(sorted(set(rights) - self.for_rights.keys()))
        others = {"for_accounts": {}, "for_callers": {}, "for_rights": {}, "signing_in": "", "unknown_rights": unknown}
        return self.model_copy(update={**narrowed, **others})

    def of(self, plan: Plan) -> Policy:
        """What is in force for a plan, by the rights that its caller had when it was made."""
        return self.within(plan.account_id, plan.caller, plan.rights)

    def wider(self, other: Narrower) -> tuple[str, ...]:
        """The limits that `other` would widen, by name."""
        named = [name for name in Narrower.model_fields if getattr(other, name) is not None]
        return tuple(name for name in named if getattr(other, name) != _narrowest(name, (self, other)))

    @property
    def fingerprint(self) -> str:
        """A short name of all of it: the same for the same limits in whatever spelling, another once one is another."""
        return hashlib.sha256(canonical_json(_canonical(self))).hexdigest()[:12]


def _narrowest(name: str, policies: Sequence[Narrower]) -> Any:
    """Of a number the least, of a permission none where one gives none; None only where nobody limits it."""
    said = [value for each in policies if (value := getattr(each, name)) is not None]
    return min(said, default=None)


def _is_left_out(field: FieldInfo, value: Any) -> bool:
    return field.exclude_if is not None and field.exclude_if(value)


def _canonical(value: Any) -> Any:
    """As JSON that does not depend on how a limit was written: 50000 or 5E4, one order of symbols or another."""
    match value:
        case bool() | None:
            return value
        case int() | float() | Decimal():
            return plain(Decimal(str(value)).normalize(EXACT))
        case timedelta():
            return _canonical(value.total_seconds())
        case time():
            return value.isoformat()
        case str():
            contract = parse_option_symbol(value)
            return contract.compact if contract else value.strip().upper()
        case frozenset():
            return sorted({_canonical(each) for each in value})
        case BaseModel():
            # A limit that a later release adds says nothing while it has its default: replicas of both agree.
            fields = type(value).model_fields
            return _canonical({name: each for name, each in value if not _is_left_out(fields[name], each)})
        case tuple():
            return [_canonical(each) for each in value]
        case dict():
            return {str(name): _canonical(each) for name, each in value.items()}
    raise TypeError(f"a {type(value).__name__} has no canonical form")
