"""A ledger at an instant, in its market: what nearly everything that happens depends on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import Market
from positions_mcp.paper.model import Order


@dataclass(frozen=True, slots=True)
class Moment:
    """The book as of `now`."""

    ledger: Ledger
    market: Market
    now: datetime

    def price(self, instrument: Instrument, at: datetime | None = None) -> Decimal | None:
        """The price of an instrument, now or at another instant; None where none is known."""
        at = at or self.market.trading_moment(self.now)
        return self.market.price(instrument, self.ledger.underlying(instrument), at)

    def is_halted(self, order: Order) -> bool:
        traded = [self.ledger.instruments[symbol] for symbol in order.symbols]
        return any(i.halted_at or self.ledger.underlying(i).halted_at for i in traded)

    @property
    def trading_day(self) -> date:
        """The day to which a trade at this instant belongs."""
        return self.market.trading_day(self.now).day
