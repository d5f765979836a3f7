"""What a paper book holds: instruments, accounts and positions, as frozen values that write themselves as JSON.

Quantities are shares or contracts, signed (short below zero). Money is US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from positions_mcp.paper.symbols import Contract, parse_contract

Record = Mapping[str, Any]
CONTRACT_MULTIPLIER = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How orders and instructions on one instrument fare; a scenario may make it unkind.

    Shapes: `fills` is the share of an order that ever fills (1 = all); `accepts` the most contracts clearing accepts;
    `refuses` the reason code with which an instruction is refused before it is taken in, empty if it is not.
    """

    fills: Decimal = Decimal(1)
    rejects: Literal["", "at_once", "later"] = ""
    reason: str = ""
    accepts: Decimal | None = None
    clearing_rejects: bool = False
    cancel_fails: bool = False
    unresolvable: bool = False
    refuses: str = ""


@dataclass(frozen=True, slots=True)
class Instrument:
    """Something that can be held. `price`: the close before the scenario was loaded; None where none is known."""

    symbol: str
    instrument_id: str
    contract: Contract | None
    price: Decimal | None
    volatility: Decimal
    venue: str
    behaviour: Behaviour = Behaviour()

    @property
    def multiplier(self) -> Decimal:
        """Shares per unit: 100 for a contract, 1 for a share."""
        return CONTRACT_MULTIPLIER if self.contract else Decimal(1)

    def as_record(self) -> Record:
        """A JSON-able form; unkind behaviour only where there is some."""
        kind = self.behaviour
        record: dict[str, Any] = {
            "id": self.instrument_id,
            "price": text_of(self.price),
            "volatility": str(self.volatility),
            "venue": self.venue,
        }
        if kind != Behaviour():
            record["behaviour"] = {
                "fills": str(kind.fills),
                "rejects": kind.rejects,
                "reason": kind.reason,
                "accepts": text_of(kind.accepts),
                "clearing_rejects": kind.clearing_rejects,
                "cancel_fails": kind.cancel_fails,
                "unresolvable": kind.unresolvable,
                "refuses": kind.refuses,
            }
        return record

    @classmethod
    def from_record(cls, symbol: str, record: Record) -> Instrument:
        """The inverse of `as_record`."""
        kind = record.get("behaviour")
        behaviour = Behaviour()
        if kind:
            behaviour = Behaviour(**{**kind, "fills": Decimal(kind["fills"]), "accepts": decimal_of(kind["accepts"])})
        return cls(
            symbol=symbol,
            instrument_id=record["id"],
            contract=parse_contract(symbol),
            price=decimal_of(record["price"]),
            volatility=Decimal(record["volatility"]),
            venue=record["venue"],
            behaviour=behaviour,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """An account's money: cash, and profit realised since the scenario was loaded."""

    number: int
    cash: Decimal
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Holding:
    """A position that is not flat. `cost` is the signed amount paid for it (below zero for a short)."""

    account: int
    symbol: str
    quantity: Decimal
    cost: Decimal
    realized_today: Decimal = ZERO
    realized_day: date | None = None

    def as_record(self) -> Record:
        """A JSON-able form."""
        return {
            "quantity": str(self.quantity),
            "cost": str(self.cost),
            "realized_today": str(self.realized_today),
            "realized_day": self.realized_day.isoformat() if self.realized_day else None,
        }

    @classmethod
    def from_record(cls, account: int, symbol: str, record: Record) -> Holding:
        """The inverse of `as_record`."""
        day = record["realized_day"]
        return cls(
            account=account,
            symbol=symbol,
            quantity=Decimal(record["quantity"]),
            cost=Decimal(record["cost"]),
            realized_today=Decimal(record["realized_today"]),
            realized_day=date.fromisoformat(day) if day else None,
        )


def text_of(value: Decimal | None) -> str | None:
    """A decimal as JSON keeps it."""
    return None if value is None else str(value)


def decimal_of(text: str | None) -> Decimal | None:
    """The inverse of `text_of`."""
    return None if text is None else Decimal(text)
