"""Accounts, balances and executions. The paper broker lends nothing: buying power is cash, no margin is computed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from positions_mcp.domain.account.sessions import NEW_YORK, Session, new_york_day
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.holdings import ZERO, Holding, Movement
from positions_mcp.paper.ledger import Ledger, known_symbols, underlying_symbol
from positions_mcp.paper.market import cents
from positions_mcp.paper.requests import Query
from positions_mcp.paper.valuation import Valuation
from positions_mcp.paper.wire import Row, plain, shown_symbol, timestamp

MARKETS = {"us_equities": "US Equities", "us_options": "US Options"}
EVENT_CONTRACTS = "us_event_contracts"
"""A market that the API knows and the paper exchange does not have: it answers no row."""
_SATURDAY = 5


def market_hours_row(moment: Moment, market: str, day: date) -> Row:
    """The sessions of one market on a day, and on the next trading day."""
    now, here = moment.now.astimezone(NEW_YORK), new_york_day(moment.now)
    session = moment.market.session_on(day)
    following = moment.market.session_after(day)
    current = _current(moment, market)
    return {
        "current_time": now.isoformat(),
        "date": day.isoformat(),
        "market": market,
        "market_name": MARKETS[market],
        "next_sessions": _sessions(market, following, None),
        "status": {"current_session": current, "day_type": _day_type(session, day), "is_open": current is not None},
        "timezone": str(NEW_YORK),
        "today_sessions": _sessions(market, session, now if day == here else None),
    }


def _day_type(session: Session | None, day: date) -> str:
    if session is not None:
        return "EARLY_CLOSE" if session.early_close else "TRADING_DAY"
    return "WEEKEND" if day.weekday() >= _SATURDAY else "HOLIDAY"


def _current(moment: Moment, market: str) -> str | None:
    session = moment.market.session_on(new_york_day(moment.now))
    spans = _spans(market, session) if session else {}
    return next((name for name, (opens, closes) in spans.items() if opens <= moment.now < closes), None)


def _spans(market: str, session: Session) -> dict[str, tuple[datetime, datetime]]:
    regular = {"regular": (session.opens.astimezone(NEW_YORK), session.closes.astimezone(NEW_YORK))}
    if market != "us_equities":
        return regular
    first = datetime.combine(session.day, time(4), NEW_YORK)
    last = session.closes.astimezone(NEW_YORK) + timedelta(hours=4)
    return {"pre_market": (first, regular["regular"][0]), **regular, "after_hours": (regular["regular"][1], last)}


def _sessions(market: str, session: Session | None, now: datetime | None) -> Row:
    row: Row = {"after_hours": None, "maintenance": None, "overnight": None, "pre_market": None, "regular": None}
    for name, (opens, closes) in (_spans(market, session) if session else {}).items():
        schedule: Row = {"open": opens.isoformat(), "close": closes.isoformat()}
        if now is not None and now < opens:
            schedule["time_until_open"] = _iso(opens - now)
        elif now is not None and now < closes:
            schedule["time_until_close"] = _iso(closes - now)
        row[name] = schedule
    return row


def _iso(span: timedelta) -> str:
    """An ISO 8601 duration, to the second."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"PT{hours}H{minutes}M{seconds}S"


def account_row(number: int, opened: datetime) -> Row:
    """One account: active, of a natural person, with every level of options."""
    return {
        "id": number,
        "account_holder_entity_id": number,
        "account_holder_entity_kind": "NATURAL_PERSON",
        "close_date": None,
        "full_name": full_name(number),
        "open_date": opened.date().isoformat(),
        "options_level": 4,
        "short_name": str(number),
        "status": "ACTIVE",
        "subtype": "MARGIN",
        "type": "CUSTOMER",
    }


def full_name(number: int) -> str:
    """The name by which an account can be looked for."""
    return f"Paper account {number}"


def balances_row(moment: Moment, account: int) -> Row:
    """The money of an account now and at the start of the day: everything that has moved since is taken back."""
    ledger, market = moment.ledger, moment.market
    money = ledger.accounts[account]
    valued = Valuation(moment).of(ledger.holdings_of(account))
    long = sum((v.market_value for v in valued if v.holding.quantity > 0), ZERO)
    short = sum((v.market_value for v in valued if v.holding.quantity < 0), ZERO)
    unrealized = sum((v.unrealized or ZERO for v in valued), ZERO)
    start = market.previous_close(moment.now).closes
    flows = [movement for movement in ledger.moved_since(start) if movement.account == account]
    cash_then = money.cash - sum((movement.cash for movement in flows), ZERO)
    long_then, short_then = _worth(moment, ledger.holdings_at(account, start), start)
    equity, equity_then = money.cash + long + short, cash_then + long_then + short_then
    # Trades settle on the next session: what today's sold is not there to be taken out yet.
    coming = sum((m.cash for m in flows if m.cash > 0), ZERO)
    going = -sum((m.cash for m in flows if m.cash < 0), ZERO)
    settled = money.cash - coming + going
    daily = cents(equity) - cents(equity_then)
    daily_unrealized = sum((v.daily or ZERO for v in valued), ZERO)
    return {
        "account_id": account,
        "buying_power": plain(cents(max(money.cash, ZERO))),
        "currency": "USD",
        "daily_change": plain(daily),
        "daily_pnl": plain(daily),
        "daily_realized_pnl": plain(daily - daily_unrealized),
        "daily_unrealized_pnl": plain(daily_unrealized),
        "equity": plain(cents(equity)),
        "long_market_value": plain(cents(long)),
        "margin_details": None,
        "margin_type": "NONE",
        "multiplier": None,
        "open_order_adjustment": "0",
        "settled_cash": plain(cents(settled)),
        "short_market_value": plain(cents(short)) if short else None,
        "sod": {
            "asof": market.previous_close(moment.now).day.isoformat(),
            "buying_power": plain(cents(max(cash_then, ZERO))),
            "equity": plain(cents(equity_then)),
            "long_market_value": plain(cents(long_then)),
            "maintenance_margin_excess": None,
            "maintenance_margin_requirement": None,
            "short_market_value": plain(cents(short_then)),
            "trade_cash": plain(cents(cash_then)),
        },
        "trade_cash": plain(cents(money.cash)),
        "unrealized_pnl": plain(cents(unrealized)),
        "unsettled_credits": plain(cents(coming)),
        "unsettled_debits": plain(cents(going)),
        "withdrawable_cash": plain(cents(max(min(settled, money.cash), ZERO))),
    }


def _worth(moment: Moment, held: dict[str, Holding], at: datetime) -> tuple[Decimal, Decimal]:
    """What positions were worth at the close `at`: those held long, and those held short (below zero)."""
    values = []
    for symbol, holding in held.items():
        instrument = moment.ledger.instruments[symbol]
        price = moment.price(instrument, at) or ZERO
        values.append(cents(holding.quantity * instrument.multiplier * price))
    return sum((v for v in values if v > 0), ZERO), sum((v for v in values if v < 0), ZERO)


_LISTS = ("instrument_ids", "order_ids", "underlying_instrument_ids")


def executions(ledger: Ledger, account: int, query: Query) -> tuple[list[Row], dict[str, object]]:
    """The executions that a query asks for, and the filters that a page token is bound to."""
    span, lists = query.between(), {name: query.several(name) for name in _LISTS}
    orders = lists["order_ids"]
    instruments = known_symbols(ledger, lists["instrument_ids"])
    underlyings = known_symbols(ledger, lists["underlying_instrument_ids"])
    rows = [
        _row(fill, ledger)
        for fill in reversed(ledger.movements)
        if fill.kind == "fill"
        and fill.account == account
        and span.has(fill.at)
        and (orders is None or fill.order_id in orders)
        and (instruments is None or fill.symbol in instruments)
        and (underlyings is None or underlying_symbol(ledger, fill.symbol) in underlyings)
    ]
    return rows, {"of": "executions", "span": str(span), **lists}


def _row(fill: Movement, ledger: Ledger) -> Row:
    instrument = ledger.instruments[fill.symbol]
    row: Row = {
        "id": fill.id,
        "instrument_id": instrument.instrument_id,
        "order_id": fill.order_id,
        "price": plain(fill.price),
        "quantity": plain(abs(fill.quantity)),
        "side": fill.side,
        "symbol": shown_symbol(instrument),
        "transaction_time": timestamp(fill.at),
        "venue": instrument.venue,
    }
    if instrument.contract:
        underlying = ledger.underlying(instrument)
        row["underlying_instrument_id"] = underlying.instrument_id
        row["underlying_instrument_type"] = underlying.kind
    return row
