"""Accounts, balances and executions. The paper broker lends nothing: buying power is cash, no margin is computed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.holdings import ZERO, Holding, Movement
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.lookup import known_symbols, underlying_symbol
from positions_mcp.paper.market import cents
from positions_mcp.paper.requests import Query
from positions_mcp.paper.valuation import Valuation
from positions_mcp.paper.wire import Row, plain, shown_symbol, timestamp


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
