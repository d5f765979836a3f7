"""Executions: every fill of an order, newest first."""

from __future__ import annotations

from positions_mcp.paper.holdings import Movement
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.lookup import known_symbols, underlying_symbol
from positions_mcp.paper.requests import Query
from positions_mcp.paper.wire import Row, plain, shown_symbol, timestamp

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
