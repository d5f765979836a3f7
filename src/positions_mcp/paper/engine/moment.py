"""A ledger at an instant, in its market: what nearly everything that happens depends on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import Market


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

    @property
    def trading_day(self) -> date:
        """The day to which a trade at this instant belongs."""
        return self.market.trading_day(self.now).day
