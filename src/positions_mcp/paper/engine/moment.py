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

    def price(self, instrument: Instrument) -> Decimal | None:
        """The price of an instrument; None where none is known."""
        underlying = self.ledger.underlying(instrument)
        return self.market.price(instrument, underlying, self.market.trading_moment(self.now))

    def is_halted(self, order: Order) -> bool:
        """Whether what an order trades, or the share under it, is halted."""
        traded = [self.ledger.instruments[symbol] for symbol in order.symbols]
        return any(i.halted_at or self.ledger.underlying(i).halted_at for i in traded)

    @property
    def trading_day(self) -> date:
        """The day to which a trade at this instant belongs."""
        return self.market.trading_day(self.now).day
