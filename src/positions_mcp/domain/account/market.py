"""Market data of one instrument at one moment. None of it is today's official close."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.records import Instant, Record, Text


class LastTrade(Record):
    """The latest trade that counts for the last sale. Of an index: its level, with a size of 0."""

    price: Decimal
    timestamp: Instant | None = None
    size: Decimal | None = None
    venue: str | None = None


class LastQuote(Record):
    """The best bid and ask. Either side may be missing, and then there is no midpoint."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    midpoint: Decimal | None = None
    bid_timestamp: Instant | None = None
    ask_timestamp: Instant | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None

    @property
    def is_sound(self) -> bool:
        """Whether its midpoint lies between its bid and ask, as far as they are stated: not where they are crossed."""
        low, middle, high = (self.midpoint if each is None else each for each in (self.bid, self.midpoint, self.ask))
        return middle is not None and low is not None and high is not None and 0 < low <= middle <= high

    @property
    def timestamp(self) -> datetime | None:
        """The time of the older side; None where neither carries one."""
        return min(filter(None, (self.bid_timestamp, self.ask_timestamp)), default=None)


class SessionPrices(Record):
    """Prices of the session. `previous_close` is adjusted for corporate actions; `ohlv_date` is the day of the rest."""

    previous_close: Decimal | None = None
    previous_close_unadjusted: Decimal | None = None
    """The close as it was; absent where nothing was adjusted."""
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    ohlv_date: date | None = None


class Greeks(Record):
    """Theoretical price and sensitivities of one option, per share. The API's implied volatility means nothing."""

    delta: Decimal | None = None
    gamma: Decimal | None = None
    theta: Decimal | None = None
    """Per trading day."""
    vega: Decimal | None = None
    rho: Decimal | None = None
    theo_price: Decimal | None = None
    timestamp: Instant | None = None


class Snapshot(Record):
    """What the market data say of one instrument."""

    instrument_id: InstrumentId
    symbol: Text = ""
    name: str | None = None
    last_trade: LastTrade | None = None
    last_quote: LastQuote | None = None
    session: SessionPrices | None = None
    greeks: Greeks | None = None
    open_interest: Decimal | None = None
    short_sale_restricted: bool | None = None
    """Whether a price test restricts short sales now. None is not "no"."""

    @property
    def price(self) -> Decimal | None:
        """The price of the last trade; None where there is none, or it is not positive."""
        trade = self.last_trade
        return trade.price if trade is not None and trade.price > 0 else None

    @property
    def priced_at(self) -> datetime | None:
        """When that trade was, or the index level was computed; None where the API does not say."""
        return self.last_trade.timestamp if self.last_trade is not None and self.price is not None else None

    @property
    def previous_close(self) -> Decimal | None:
        """The close of the session before, as it was traded; None where it is not known."""
        if self.session is None:
            return None
        unadjusted = self.session.previous_close_unadjusted
        return self.session.previous_close if unadjusted is None else unadjusted
