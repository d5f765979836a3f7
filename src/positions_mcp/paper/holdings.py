"""What a paper book holds, and what has moved it: instruments, accounts, positions and movements, as frozen values.

Quantities are shares or contracts, signed (short below zero). Money is US dollars.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.paper.symbols import Contract

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
    contract: Annotated[Contract | None, Field(exclude=True)]
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
        """What the API calls its type; the paper market has nothing else."""
        if self.contract:
            return "OPTION"
        return "INDEX" if self.is_index else "COMMON_STOCK"

    @property
    def written(self) -> str:
        """Its symbol as the API writes it, an option's root padded to six."""
        return self.contract.padded if self.contract else self.symbol

    @property
    def underlying_symbol(self) -> str:
        """What an option is over; the symbol itself where it is none."""
        return self.over or (self.contract.root if self.contract else self.symbol)

    @property
    def multiplier(self) -> Decimal:
        """Shares per unit: 100 for a contract, 1 for a share."""
        return CONTRACT_MULTIPLIER if self.contract else Decimal(1)


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


MovementKind = Literal["fill", "exercise", "expiry", "dividend", "split"]
_NAMESPACE = uuid.UUID("0c4b3c8e-27a5-5c64-8f0d-5a1b8d6b7a31")


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of a position: units (signed) at a price, and the cash that came in for it (below zero: went out)."""

    number: int
    at: datetime
    kind: MovementKind
    account: int
    symbol: str
    quantity: Decimal
    price: Decimal
    cash: Decimal
    before: Holding | None
    order_id: str = ""

    @property
    def id(self) -> str:
        """The id of the execution it is, where it is a fill."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.order_id}|{self.number}"))

    @property
    def side(self) -> str:
        return "BUY" if self.quantity > ZERO else "SELL"
