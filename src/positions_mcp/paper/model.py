"""What happens in a paper book: orders and instructions, as frozen values that write themselves as JSON.

Quantities are shares or contracts. Money is US dollars. Instants are aware and in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from positions_mcp.paper.holdings import ZERO, Record, decimal_of, text_of

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


@dataclass(frozen=True, slots=True)
class Step:
    """Something that will happen to an order at an instant, unless the order ends before."""

    at: datetime
    kind: Literal["release", "acknowledge", "fill", "reject", "expire", "cancel"]
    quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a multi-leg order: `ratio` units of the instrument for each unit of the order."""

    symbol: str
    side: Side
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class Past:
    """How an order stood from `at` until it changed; `details`: how many of its details it had."""

    at: datetime
    status: OrderStatus
    filled: Decimal
    filled_value: Decimal
    details: int

    def as_record(self) -> list[object]:
        """A JSON-able form."""
        return [self.at.isoformat(), self.status.value, str(self.filled), str(self.filled_value), self.details]

    @classmethod
    def from_record(cls, record: list[Any]) -> Past:
        """The inverse of `as_record`."""
        at, status, filled, value, details = record
        return cls(datetime.fromisoformat(at), OrderStatus(status), Decimal(filled), Decimal(value), details)


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
        """The symbols that it trades."""
        return (self.symbol,) if self.symbol is not None else tuple(leg.symbol for leg in self.legs)

    def with_history_of(self, before: Order) -> Order:
        """The order, remembering how it stood before it changed."""
        if (self.status, self.filled) == (before.status, before.filled):
            return self
        past = Past(before.updated_at, before.status, before.filled, before.filled_value, len(before.details))
        return replace(self, history=(*before.history, past))

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_ORDER

    @property
    def leaves(self) -> Decimal:
        """What may still fill: nothing once the order has ended."""
        return self.quantity - self.filled if self.is_open else ZERO

    def as_record(self) -> Record:
        """A JSON-able form."""
        return {
            "number": self.number,
            "account": self.account,
            "symbol": self.symbol,
            "side": self.side,
            "quantity": str(self.quantity),
            "status": self.status.value,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "venue": self.venue,
            "order_type": self.order_type,
            "time_in_force": self.time_in_force,
            "limit_price": text_of(self.limit_price),
            "filled": str(self.filled),
            "filled_value": str(self.filled_value),
            "releases_at": self.releases_at.isoformat() if self.releases_at else None,
            "details": list(self.details),
            "legs": [[leg.symbol, leg.side, str(leg.ratio)] for leg in self.legs],
            "steps": [[step.at.isoformat(), step.kind, str(step.quantity)] for step in self.steps],
            "history": [past.as_record() for past in self.history],
        }

    @classmethod
    def from_record(cls, key: str, record: Record) -> Order:
        """The inverse of `as_record`."""
        return cls(
            id=key,
            number=record["number"],
            account=record["account"],
            symbol=record["symbol"],
            side=record["side"],
            quantity=Decimal(record["quantity"]),
            status=OrderStatus(record["status"]),
            created_at=datetime.fromisoformat(record["created_at"]),
            updated_at=datetime.fromisoformat(record["updated_at"]),
            venue=record["venue"],
            order_type=record["order_type"],
            time_in_force=record["time_in_force"],
            limit_price=decimal_of(record["limit_price"]),
            filled=Decimal(record["filled"]),
            filled_value=Decimal(record["filled_value"]),
            releases_at=datetime.fromisoformat(record["releases_at"]) if record["releases_at"] else None,
            details=tuple(record["details"]),
            legs=tuple(Leg(symbol, side, Decimal(ratio)) for symbol, side, ratio in record["legs"]),
            steps=tuple(Step(datetime.fromisoformat(at), kind, Decimal(q)) for at, kind, q in record["steps"]),
            history=tuple(Past.from_record(past) for past in record.get("history", ())),
        )


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
        """Whether it still speaks for contracts."""
        return self.status in STANDING and not self.settled

    @property
    def contracts(self) -> Decimal:
        """The contracts it speaks for: what clearing accepted, or what was asked until it has answered."""
        return self.quantity if self.accepted is None else self.accepted

    def as_record(self) -> Record:
        """A JSON-able form."""
        return {
            "number": self.number,
            "account": self.account,
            "client_key": self.client_key,
            "instruction_type": self.instruction_type.value,
            "symbol": self.symbol,
            "quantity": str(self.quantity),
            "status": self.status.value,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "accepted": text_of(self.accepted),
            "reason": self.reason,
            "reason_code": self.reason_code,
            "due_at": self.due_at.isoformat() if self.due_at else None,
            "settled": self.settled,
        }

    @classmethod
    def from_record(cls, key: str, record: Record) -> Instruction:
        """The inverse of `as_record`."""
        return cls(
            id=key,
            number=record["number"],
            account=record["account"],
            client_key=record["client_key"],
            instruction_type=InstructionType(record["instruction_type"]),
            symbol=record["symbol"],
            quantity=Decimal(record["quantity"]),
            status=InstructionStatus(record["status"]),
            created_at=datetime.fromisoformat(record["created_at"]),
            updated_at=datetime.fromisoformat(record["updated_at"]),
            accepted=decimal_of(record["accepted"]),
            reason=record["reason"],
            reason_code=record["reason_code"],
            due_at=datetime.fromisoformat(record["due_at"]) if record["due_at"] else None,
            settled=record["settled"],
        )
