"""What the API says of instruments: option contracts, dividends, and snapshots at one moment, none today's close."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from positions_mcp.domain.enums import ContractType, ExerciseStyle, ListingType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.records import Instant, Record, Text


class Dividend(Record):
    """One dividend: who buys on `ex_date` or later does not get it. Dollars per share."""

    ex_date: date
    dividend_amount: Decimal | None = None
    adjusted_dividend_amount: Decimal | None = None
    """With splits since then taken into account."""
    declaration_date: date | None = None
    record_date: date | None = None
    payment_date: date | None = None
    frequency: str | None = None

    @property
    def amount(self) -> Decimal | None:
        """Dollars per share as they are paid, else adjusted for splits; None where neither is known."""
        return self.adjusted_dividend_amount if self.dividend_amount is None else self.dividend_amount


class InstrumentEvents(Record):
    """Events of one instrument. Only its dividends are read; the other kinds are kept as the API sent them."""

    instrument_id: InstrumentId | None = None
    dividends: list[Dividend]


def next_dividend(dividends: Iterable[Dividend], after: date) -> Dividend | None:
    """The first dividend whose ex-date is later than the day `after`, or None."""
    return min((each for each in dividends if each.ex_date > after), key=lambda each: each.ex_date, default=None)


class ContractFacts(Record):
    """What the API says of one option contract. None is not known, never a default."""

    id: InstrumentId
    symbol: Text = ""
    exercise_style: ExerciseStyle | None = None
    is_settle_on_open: bool | None = None
    """AM settlement: the opening price of the day of settlement decides, not the close."""
    last_trade_cutoff: Instant | None = None
    """The last moment at which the option can trade."""
    multiplier: Decimal | None = None
    underlying_instrument_id: InstrumentId | None = None
    is_tradable: bool | None = None
    is_liquidation_only: bool | None = None
    listing_type: ListingType | None = None
    contract_type: ContractType | None = None
    expiry: date | None = None
    strike_price: Decimal | None = None
    currency: str | None = None
    exchange: str | None = None
    """MIC code of the primary listing venue."""
    open_interest: Decimal | None = None


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
