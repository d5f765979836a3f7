"""Market data snapshots: last trade, quote, session and greeks of an instrument, from the paper market."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.market import CENT
from positions_mcp.paper.wire import Row, plain, timestamp

_SHARE_HALF_SPREAD = CENT
_OPTION_HALF_SPREAD = Decimal("0.02")
"""Of an option's price; at least a cent."""
_STEP = Decimal("0.01")
"""How far, of its price, the underlying is moved to see how the option's price follows."""
_FINE = Decimal("0.0001")


def snapshot_row(instrument: Instrument, moment: Moment) -> Row:
    """One snapshot. Outside a session it is that of the last trading moment."""
    market = moment.market
    at = market.trading_moment(moment.now)
    price, previous = moment.price(instrument), moment.price(instrument, market.previous_close(moment.now).closes)
    session: Row = {
        "ohlv_applicable": not instrument.is_index,
        "previous_close": None if previous is None else plain(previous),
    }
    row: Row = {
        "instrument_id": instrument.instrument_id,
        "name": None,
        "session": session,
        "short_sale_restricted": None,
        "symbol": instrument.written,
    }
    if price is None:
        return row
    if previous is not None:
        session["change"] = plain(price - previous)
        session["change_percent"] = plain(((price - previous) * 100 / previous).quantize(_FINE)) if previous else None
    if not instrument.is_index:
        opening = moment.price(instrument, market.trading_day(moment.now).opens)
        session["open"] = None if opening is None else plain(opening)
        session["ohlv_date"] = moment.trading_day.isoformat()
        row["last_quote"] = _quote(instrument, price, timestamp(at))
    row["last_trade"] = {
        "price": plain(price),
        "size": 0 if instrument.is_index else 1 if instrument.contract else 100,
        "timestamp": timestamp(at),
        "venue": None if instrument.is_index else instrument.venue,
    }
    if instrument.contract:
        row["greeks"] = _greeks(instrument, moment)
    return row


def _quote(instrument: Instrument, price: Decimal, at: str) -> Row:
    half = max((price * _OPTION_HALF_SPREAD).quantize(CENT), CENT) if instrument.contract else _SHARE_HALF_SPREAD
    ask: Row = {"ask": plain(price + half), "ask_size": 100, "ask_timestamp": at, "ask_venue": instrument.venue}
    bid = price - half
    if bid <= 0:
        return ask
    return ask | {
        "bid": plain(bid),
        "bid_size": 100,
        "bid_timestamp": at,
        "bid_venue": instrument.venue,
        "midpoint": plain(price),
    }


def _greeks(instrument: Instrument, moment: Moment) -> Row | None:
    """How the price of an option follows its underlying's price, volatility and time, by small steps of each."""
    underlying = moment.ledger.underlying(instrument)
    at = moment.market.trading_moment(moment.now)
    spot = moment.price(underlying, at)
    if spot is None:
        return None
    volatility, step = underlying.volatility, max((spot * _STEP).quantize(CENT), CENT)

    def worth(price: Decimal, unsteadiness: Decimal = volatility, later: timedelta = timedelta(0)) -> Decimal:
        return moment.market.option(instrument, price, unsteadiness, at + later)

    here, up, down = worth(spot), worth(spot + step), worth(spot - step)
    return {
        "delta": plain(((up - down) / (2 * step)).quantize(_FINE)),
        "gamma": plain(((up - 2 * here + down) / (step * step)).quantize(_FINE)),
        "iv": "0",
        "rho": "0",
        "theo_price": plain(here),
        "theta": plain(worth(spot, later=timedelta(days=1)) - here),
        "timestamp": timestamp(at),
        "vega": plain((worth(spot, volatility + _STEP) - here) * 100),
    }
