"""What a paper book holds: instruments, accounts and positions, as frozen values that write themselves as JSON.

Quantities are shares or contracts, signed (short below zero). Money is US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from positions_mcp.paper.symbols import Contract, parse_contract

Record = Mapping[str, Any]
CONTRACT_MULTIPLIER = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How orders and instructions on one instrument fare; a scenario may make it unkind.

    Shapes: `fills` is the share of an order that ever fills (1 = all), in `parts` spread `over` seconds (0 parts: in
    two, as the book's delays say); `accepts` the most contracts clearing accepts;
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
    parts: int = 0
    over: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class CompanyEvent:
    """A dividend of `amount` a share, or a split into `numerator` new shares for `denominator` old ones, on `day`.

    `done`: the book has lived through it.
    """

    kind: Literal["dividend", "split"]
    day: date
    amount: Decimal = ZERO
    numerator: int = 1
    denominator: int = 1
    done: bool = False

    def as_record(self) -> Record:
        """A JSON-able form."""
        return {
            "kind": self.kind,
            "day": self.day.isoformat(),
            "amount": str(self.amount),
            "numerator": self.numerator,
            "denominator": self.denominator,
            "done": self.done,
        }

    @classmethod
    def from_record(cls, record: Record) -> CompanyEvent:
        """The inverse of `as_record`."""
        fields = {**record, "day": date.fromisoformat(record["day"]), "amount": Decimal(record["amount"])}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Something that can be held, or an index. `price`: the close before the scenario was loaded; None: none is known.

    Of an option: `over` is its underlying where that is not its root (SPXW is over SPX), `shares` what one contract
    delivers, `european` that it is exercised at expiry only, `settles_at_open` that the opening price of its last
    day decides. `events` are the dividends and splits of a share, `stated` the prices it has been said to open or close
    at, and `halted_at` the trading moment at which it was halted.
    """

    symbol: str
    instrument_id: str
    contract: Contract | None
    price: Decimal | None
    volatility: Decimal
    venue: str
    behaviour: Behaviour = Behaviour()
    is_index: bool = False
    over: str = ""
    shares: Decimal = CONTRACT_MULTIPLIER
    european: bool = False
    settles_at_open: bool = False
    events: tuple[CompanyEvent, ...] = ()
    stated: tuple[tuple[datetime, Decimal], ...] = ()
    halted_at: datetime | None = None

    @property
    def kind(self) -> str:
        """What the API calls its type."""
        if self.contract:
            return "OPTION"
        return "INDEX" if self.is_index else "COMMON_STOCK"

    @property
    def underlying_symbol(self) -> str:
        """What an option is over; the symbol itself where it is none."""
        return self.over or (self.contract.root if self.contract else self.symbol)

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
        special = {
            "is_index": self.is_index,
            "over": self.over,
            "shares": str(self.shares),
            "european": self.european,
            "settles_at_open": self.settles_at_open,
            "events": [event.as_record() for event in self.events],
            "stated": [[at.isoformat(), str(price)] for at, price in self.stated],
            "halted_at": self.halted_at.isoformat() if self.halted_at else "",
        }
        record |= {name: value for name, value in special.items() if value not in (False, "", "100", [])}
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
                **({"parts": kind.parts, "over": str(kind.over)} if kind.parts else {}),
            }
        return record

    @classmethod
    def from_record(cls, symbol: str, record: Record) -> Instrument:
        """The inverse of `as_record`."""
        kind = record.get("behaviour")
        behaviour = Behaviour()
        if kind:
            decimals = {"fills": Decimal(kind["fills"]), "over": Decimal(kind.get("over", 0))}
            behaviour = Behaviour(**{**kind, **decimals, "accepts": decimal_of(kind["accepts"])})
        return cls(
            symbol=symbol,
            instrument_id=record["id"],
            contract=parse_contract(symbol),
            price=decimal_of(record["price"]),
            volatility=Decimal(record["volatility"]),
            venue=record["venue"],
            behaviour=behaviour,
            is_index=record.get("is_index", False),
            over=record.get("over", ""),
            shares=Decimal(record.get("shares", CONTRACT_MULTIPLIER)),
            european=record.get("european", False),
            settles_at_open=record.get("settles_at_open", False),
            events=tuple(CompanyEvent.from_record(event) for event in record.get("events", ())),
            stated=tuple((datetime.fromisoformat(at), Decimal(price)) for at, price in record.get("stated", ())),
            halted_at=datetime.fromisoformat(record["halted_at"]) if record.get("halted_at") else None,
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
