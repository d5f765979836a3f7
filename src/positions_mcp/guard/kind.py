"""What a kind of operation is: how it is asked for, planned, compared, sent, followed and worded.

Planner, executor and reports are the same for all kinds; whatever differs is behind these protocols. A kind is one
folder beside `closing` and `exercising`, and `kinds.py` names them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar

from positions_mcp.domain.batch.rows import RowReport, UnexpectedRow
from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier
from positions_mcp.domain.ids import AccountId, InstructionId, is_uuid
from positions_mcp.domain.instruments import as_asked, as_root, is_divided, parse_option_symbol, with_its_id
from positions_mcp.domain.operation.operation import Conclusion, Operation, Reservation, Resolution, Row, SentOrder
from positions_mcp.domain.operation.plan import Kind, Mode, Plan, Target, key_of
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.domain.text import quoted
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.findings import Finding

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest(ABC):
    """What a plan is asked for, of whatever kind. None means not given."""

    account_id: AccountId | None = None
    purpose: str = ""
    """Why, in the caller's own words; empty where it does not say. The same request has any purpose."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """What it asks for."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The instruments it names, as they were given; none where it names none, or everything."""

    @property
    @abstractmethod
    def asked(self) -> Sequence[str]:
        """What a new plan is to be about, the same however it is spelled. Raises InvalidInput where that is missing."""

    @abstractmethod
    def agree(self, plan: Plan) -> None:
        """Raise InvalidInput where an argument was given with a plan and says something else than the plan."""

    @property
    def cancels(self) -> bool:
        """Whether open orders are cancelled first."""
        return False

    @property
    def account(self) -> AccountId:
        """The account that a new plan is about. Raises InvalidInput where it is not given."""
        if self.account_id is None:
            raise InvalidInput("No account was given.", hint="Give account_id.")
        return self.account_id

    def key(self, caller: str, mode: Mode) -> str:
        """The same for the same arguments, in any order, from the same caller. Raises InvalidInput as `asked`."""
        return key_of("request", caller, mode, self.account, self.kind, sorted(self.asked), self.cancels)


RequestT_contra = TypeVar("RequestT_contra", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a kind puts into a plan. `warnings` are its own; what policy finds is added to them."""

    targets: tuple[Target, ...]
    cancel_orders: bool = False
    session: str = ""
    projection: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Comparison:
    """What the account says now against the plan.

    Any `stale` reason prevents sending. `flat` are the rows with nothing left; `reserving` the rows that may be sent,
    with what they now come to; `notes` say per row what is nearer zero than planned.
    """

    stale: list[str] = field(default_factory=list)
    flat: set[int] = field(default_factory=set)
    reserving: dict[int, Reservation] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing at all differs that a person would see."""
        return not (self.stale or self.flat or self.notes)


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What one answer says of one row."""

    state: RowState
    detail: str = ""
    orders: tuple[SentOrder, ...] = ()
    instruction_id: InstructionId | None = None
    answered: RowReport | None = None
    unexpected: tuple[UnexpectedRow, ...] = ()
    unreadable: tuple[str, ...] = ()
    request_id: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one answer says of every row of its request, and of anything that no row expected."""

    outcomes: Mapping[int, RowAnswer]
    unexpected: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the rows it stands for, by position, and what each reserves."""

    rows: Mapping[int, Reservation]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWords:
    """What a report says of one row. `alarm` is what has to be said before everything else; usually empty."""

    planned: str
    """`SELL 100`."""
    instruction_id: InstructionId | None = None
    alarm: str = ""


class Words(Protocol):
    """How a kind is put to people."""

    @property
    def next_steps(self) -> Mapping[OperationState, str]:
        """What to do in a state, where that is not what every kind says."""

    def heading(self, plan: Plan) -> str:
        """What the plan does, in one line."""

    def lines(self, plan: Plan) -> Sequence[str]:
        """What is to be decided about each target."""

    def terms(self, plan: Plan) -> Sequence[str]:
        """Totals, and the conditions that hold for all targets."""

    def row(self, plan: Plan, row: Row) -> RowWords:
        """One target and what became of it."""


class OperationKind(Protocol[RequestT_contra]):
    """Plans, sends and accounts for one kind of operation."""

    def draft(self, request: RequestT_contra, account: Account) -> Draft:
        """What a plan of these arguments does to the account. Raises InvalidInput where it cannot be planned."""

    def findings(self, plan: Plan, account: Account) -> Iterator[Finding]:
        """What the rules of this kind alone say of a plan."""

    def compare(self, plan: Plan, account: Account) -> Comparison:
        """What the account, just read, says against the plan."""

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        """The requests, in the order of sending; rows already flat are in none."""

    def obstacle(self, operation: Operation, request: Request, account: Account) -> str:
        """Why this request may not be sent after what became of the ones before it; empty if it may."""

    async def send(self, operation: Operation, request: Request) -> Answer:
        """Send once and account for every row of the request.

        Raises NothingSent, RequestRejected, OutcomeUnknown, as the ports do.
        """

    async def follow(self, operation: Operation, account: Account) -> Sequence[Row]:
        """Rows of which something new is known, from an account just read."""


def as_planned(plan: Plan) -> Comparison:
    """Every row as it was planned, for a person who flattens although the book cannot be read."""
    return Comparison(reserving={i: Reservation(measure=target.measure) for i, target in enumerate(plan.targets)})


def observed(row: Row, seen: Mapping[str, object], at: datetime) -> list[Row]:
    """The row with what was seen of it; none where nothing of that is new."""
    is_new = any(getattr(row, name) != value for name, value in seen.items())
    return [row.changed(**seen, observed_at=at)] if is_new else []


def took_effect(evidence: str, at: datetime) -> Resolution:
    """The program's own conclusion. It never concludes the opposite: only a person does."""
    return Resolution(conclusion=Conclusion.TOOK_EFFECT, by="positions-mcp", evidence=evidence, at=at, by_person=False)


def why_renamed(target: Target, name: str) -> str:
    """That what a target's id stands for is called otherwise now than it was shown; empty where it is not."""
    return "" if name == target.symbol else f"{target.called} is called {name} now, and may be another instrument."


def expect_same(what: str, given: object, planned: object, plan: Plan) -> None:
    """Raise InvalidInput where an argument was given and says something else than the plan."""
    if given is not None and given != planned:
        raise InvalidInput(
            f"{what}={str(given).lower() if isinstance(given, bool) else given} contradicts plan {plan.plan_id}.",
            hint="Give plan_id alone, or the arguments it was made with.",
        )


def checked_name(name: str) -> str:
    """A name short and visible enough to be looked up. Raises UnsafeIdentifier."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UnsafeIdentifier(
            f"{quoted(name, 40)} cannot be the name of an instrument.", hint="Give a symbol, an OSI symbol, or a UUID."
        )
    return name


def folded(name: str) -> str:
    """The same for every way of writing one instrument's symbol."""
    named = with_its_id(name)
    asked = as_asked(name) if named is None else named[1]
    contract, symbol = parse_option_symbol(asked), asked.upper()
    if contract is not None:
        return replace(contract, root=as_root(contract.root)).compact
    return as_root(symbol) if is_divided(symbol) and not is_uuid(symbol) else symbol
