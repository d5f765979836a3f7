"""What has moved a position: fills, exercises, expiries, dividends and splits, each with the position before it.

The executions of the API are read from them; so is the book as it was at the start of the day, or some seconds ago.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from positions_mcp.paper.holdings import ZERO, Holding

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
