"""Executions: every fill of an order, newest first."""

from __future__ import annotations

from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.movements import Movement
from positions_mcp.paper.reading import known_symbol
from positions_mcp.paper.requests import Query
from positions_mcp.paper.wire import Row, plain, shown_symbol, timestamp

_FILTERS = frozenset({"from", "to", "instrument_ids", "order_ids", "underlying_instrument_ids"})


def executions(ledger: Ledger, account: int, query: Query) -> tuple[list[Row], dict[str, object]]:
    """The executions that a query asks for, and the filters that a page token is bound to."""
    query.only(_FILTERS | {"page_size", "page_token"})
    since, until = query.instant("from"), query.instant("to")
    if since and until and since > until:
        raise Refusal(400, "from is not after to")
    orders = query.several("order_ids")
    instruments = _symbols(ledger, query.several("instrument_ids"))
    underlyings = _symbols(ledger, query.several("underlying_instrument_ids"))
    rows = [
        _row(fill, ledger)
        for fill in reversed(ledger.movements)
        if fill.kind == "fill"
        and fill.account == account
        and (since is None or fill.at >= since)
        and (until is None or fill.at <= until)
        and (orders is None or fill.order_id in orders)
        and (instruments is None or fill.symbol in instruments)
        and (underlyings is None or _underlying(fill, ledger) in underlyings)
    ]
    return rows, {"of": "executions", **{name: query.text(name) for name in sorted(_FILTERS)}}


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


def _underlying(fill: Movement, ledger: Ledger) -> str | None:
    instrument = ledger.instruments[fill.symbol]
    return instrument.underlying_symbol if instrument.contract else None


def _symbols(ledger: Ledger, wanted: list[str] | None) -> set[str] | None:
    if wanted is None:
        return None
    found = set()
    for text in wanted:
        try:
            found.add(known_symbol(ledger, text))
        except Refusal:
            continue
    return found
