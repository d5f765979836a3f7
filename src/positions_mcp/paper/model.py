"""What happens in a paper book: orders and instructions, as frozen values.

Quantities are shares or contracts. Money is US dollars. Instants are aware and in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

from positions_mcp.paper.holdings import ZERO

Side = Literal["BUY", "SELL"]


class OrderStatus(StrEnum):
    """Where an order stands."""

    QUEUED = "QUEUED"
    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    PENDING_CANCEL = "PENDING_CANCEL"


OPEN_ORDER = frozenset(
    {
        OrderStatus.QUEUED,
        OrderStatus.PENDING_NEW,
        OrderStatus.NEW,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
    }
)


class InstructionStatus(StrEnum):
    """Where a position instruction stands."""

    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELLED = "CANCELLED"
    CANCEL_FAILED = "CANCEL_FAILED"


STANDING = frozenset(
    {
        InstructionStatus.SENT,
        InstructionStatus.ACCEPTED,
        InstructionStatus.CANCEL_REQUESTED,
        InstructionStatus.CANCEL_FAILED,
    }
)
"""States in which an instruction still speaks for its contracts (a failed cancel leaves the original standing)."""


class InstructionType(StrEnum):
    """What an instruction asks for."""

    EXERCISE = "EXERCISE"
    DO_NOT_EXERCISE = "DO_NOT_EXERCISE"
    CONTRARY_EXERCISE = "CONTRARY_EXERCISE"


class Step(NamedTuple):
    """Something that will happen to an order at an instant, unless the order ends before."""

    at: datetime
    kind: Literal["release", "acknowledge", "fill", "reject", "expire", "cancel"]
    quantity: Decimal = ZERO


class Leg(NamedTuple):
    """One leg of a multi-leg order: `ratio` units of the instrument for each unit of the order."""

    symbol: str
    side: Side
    ratio: Decimal


class Past(NamedTuple):
    """How an order stood from `at` until it changed; `details`: how many of its details it had."""

    at: datetime
    status: OrderStatus
    filled: Decimal
    filled_value: Decimal
    details: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its remaining future (`steps`). A multi-leg order has no symbol of its own, but legs."""

    id: str
    number: int
    account: int
    symbol: str | None
    side: Side
    quantity: Decimal
    status: OrderStatus
    created_at: datetime
    updated_at: datetime
    venue: str
    order_type: Literal["MARKET", "LIMIT"] = "MARKET"
    time_in_force: Literal["DAY", "GOOD_TILL_CANCEL"] = "DAY"
    limit_price: Decimal | None = None
    filled: Decimal = ZERO
    filled_value: Decimal = ZERO
    releases_at: datetime | None = None
    details: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()
    steps: tuple[Step, ...] = ()
    history: tuple[Past, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self.symbol,) if self.symbol is not None else tuple(leg.symbol for leg in self.legs)

    def with_history_of(self, before: Order) -> Order:
        """The order, remembering how it stood before it changed."""
        if (self.status, self.filled) == (before.status, before.filled):
            return self
        past = Past(before.updated_at, before.status, before.filled, before.filled_value, len(before.details))
        return replace(self, history=(*before.history, past))

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_ORDER

    @property
    def leaves(self) -> Decimal:
        """What may still fill: nothing once the order has ended."""
        return self.quantity - self.filled if self.is_open else ZERO


@dataclass(frozen=True, slots=True)
class Instruction:
    """A position instruction that the exchange took in. `due_at` is when clearing answers what is outstanding.

    `settled`: its contracts have been exercised, or its contract has expired; it no longer holds any.
    """

    id: str
    number: int
    account: int
    client_key: str
    instruction_type: InstructionType
    symbol: str
    quantity: Decimal
    status: InstructionStatus
    created_at: datetime
    updated_at: datetime
    accepted: Decimal | None = None
    reason: str = ""
    reason_code: str = ""
    due_at: datetime | None = None
    settled: bool = False

    @property
    def stands(self) -> bool:
        return self.status in STANDING and not self.settled

    @property
    def contracts(self) -> Decimal:
        """The contracts it speaks for: what clearing accepted, or what was asked until it has answered."""
        return self.quantity if self.accepted is None else self.accepted
