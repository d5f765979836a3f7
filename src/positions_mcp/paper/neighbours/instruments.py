"""Instruments, option contracts, and the events of a company, in the shapes of the official SDK."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.holdings import CompanyEvent, Instrument
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


_OPTION_TICKS = (("0", "3", "0.01"), ("3", None, "0.05"))
_SHARE_TICKS = (("0", "1", "0.0001"), ("1", None, "0.01"))


def is_tradable(instrument: Instrument, moment: Moment) -> bool:
    """Whether an order could be filled some day: an index cannot be traded, nor a contract after its last trade."""
    if instrument.contract is None:
        return not instrument.is_index and instrument.price is not None
    return moment.now < moment.market.last_trade(instrument)


def instrument_row(instrument: Instrument, moment: Moment) -> Row:
    """One instrument. Everything on the paper market can be held on margin and borrowed easily."""
    share = instrument.contract is None and not instrument.is_index
    previous = moment.price(instrument, moment.market.previous_close(moment.now).closes)
    row: Row = {
        "id": instrument.instrument_id,
        "adv": None,
        "cax_adjusted_previous_close": None,
        "country_of_issue": "US",
        "currency": "USD",
        "easy_to_borrow": share,
        "instrument_type": instrument.kind,
        "is_fractionable": share,
        "is_liquidation_only": False,
        "is_marginable": share,
        "is_ptp": False,
        "is_short_prohibited": False,
        "is_threshold_security": False,
        "is_tradable": is_tradable(instrument, moment),
        "long_margin_rate": None,
        "name": instrument.written,
        "notional_adv": None,
        "previous_close": None if previous is None else plain(previous),
        "short_margin_rate": None,
        "symbol": instrument.symbol,
        "tick_rules": _ticks(_OPTION_TICKS if instrument.contract else _SHARE_TICKS),
        "venue": instrument.venue,
    }
    if share:
        row["shortable_attribute"] = "EASY_TO_BORROW"
    return row


def expiry_dates(instrument: Instrument, moment: Moment) -> Row:
    """The expirations that are still to come of the contracts over an instrument, for its detailed row."""
    today = new_york_day(moment.now)
    over = sorted(
        (option.contract.expiry, option.settles_at_open, is_tradable(option, moment))
        for option in moment.ledger.instruments.values()
        if option.contract and option.underlying_symbol == instrument.symbol and option.contract.expiry >= today
    )
    dates = []
    for day, listed in groupby(over, key=lambda option: option[0]):
        found = [(at_open, tradable) for _, at_open, tradable in listed if tradable]
        if found:
            dates.append(
                {
                    "date": day.isoformat(),
                    "has_settles_on_close": any(not at_open for at_open, _ in found),
                    "has_settles_on_open": any(at_open for at_open, _ in found),
                }
            )
    return {"options_contract_expiry_dates": dates, "options_expiry_dates": [entry["date"] for entry in dates]}


def contract_row(instrument: Instrument, moment: Moment) -> Row:
    contract = instrument.contract
    assert contract, instrument
    return {
        "id": instrument.instrument_id,
        "contract_type": contract.right.upper(),
        "currency": "USD",
        "exchange": instrument.venue,
        "exercise_style": "EUROPEAN" if instrument.european else "AMERICAN",
        "expiry": contract.expiry.isoformat(),
        "is_liquidation_only": False,
        "is_marginable": False,
        "is_settle_on_open": instrument.settles_at_open,
        "is_tradable": is_tradable(instrument, moment),
        "last_trade_cutoff": timestamp(moment.market.last_trade(instrument)),
        "listing_type": "STANDARD",
        "multiplier": plain(instrument.multiplier),
        "open_interest": None,
        "strike_price": plain(contract.strike),
        "symbol": contract.padded,
        "tick_rules": _ticks(_OPTION_TICKS),
        "underlying_instrument_id": moment.ledger.underlying(instrument).instrument_id,
    }


def events_row(instrument: Instrument, kinds: frozenset[str] | None, since: date | None, until: date | None) -> Row:
    """Dividends and splits of an instrument, newest first; the paper market has neither earnings nor offerings."""
    wanted = [
        event
        for event in sorted(instrument.events, key=lambda event: event.day, reverse=True)
        if (since is None or event.day >= since) and (until is None or event.day <= until)
    ]
    shown = kinds or frozenset({"DIVIDEND", "STOCK_SPLIT"})
    return {
        "instrument_id": instrument.instrument_id,
        "dividends": [_dividend(e, instrument) for e in wanted if e.kind == "dividend" and "DIVIDEND" in shown],
        "earnings": [],
        "ipos": [],
        "reporting_currency": "USD",
        "splits": [_split(e) for e in wanted if e.kind == "split" and "STOCK_SPLIT" in shown],
    }


def _ticks(bands: tuple[tuple[str, str | None, str], ...]) -> list[Row]:
    return [{"start_price": start, "end_price": end, "tick_size": tick} for start, end, tick in bands]


def _dividend(event: CompanyEvent, instrument: Instrument) -> Row:
    later = [e for e in instrument.events if e.kind == "split" and e.done and e.day > event.day]
    adjusted = event.amount
    for split in later:
        adjusted = (adjusted * split.denominator / split.numerator).quantize(Decimal("0.0001"))
    return {
        "adjusted_dividend_amount": plain(adjusted),
        "declaration_date": None,
        "dividend_amount": plain(event.amount),
        "dividend_yield": None,
        "ex_date": event.day.isoformat(),
        "frequency": None,
        "payment_date": event.day.isoformat(),
        "record_date": event.day.isoformat(),
    }


def _split(event: CompanyEvent) -> Row:
    return {
        "date": event.day.isoformat(),
        "denominator": str(event.denominator),
        "numerator": str(event.numerator),
        "split_type": "stock-split",
    }
