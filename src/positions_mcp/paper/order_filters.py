"""Which orders a listing asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.lookup import known_symbols, underlying_symbol
from positions_mcp.paper.model import Order
from positions_mcp.paper.requests import Query, Span
from positions_mcp.paper.symbols import canonical
from positions_mcp.paper.wire import Row

_LISTS = ("order_ids", "instrument_ids", "underlying_instrument_ids", "status")


@dataclass(frozen=True, slots=True)
class OrderFilters:
    """The filters of a listing of orders; all of them must admit an order. None is no filter."""

    order_ids: Sequence[str] | None
    instrument_ids: Sequence[str] | None
    underlying_instrument_ids: Sequence[str] | None
    status: Sequence[str] | None
    instrument_type: str | None
    symbol: str | None
    created: Span
    updated: Span

    @classmethod
    def of(cls, query: Query, dialect: Dialect) -> OrderFilters:
        """The filters of a query. Raises Refusal: 400 for a value that is not allowed."""
        return cls(
            order_ids=query.several("order_ids"),
            instrument_ids=query.several("instrument_ids"),
            underlying_instrument_ids=query.several("underlying_instrument_ids"),
            status=query.several("status", dialect.order_statuses),
            instrument_type=query.one_of("instrument_type", dialect.instrument_types),
            symbol=query.text("symbol"),
            created=query.between(),
            updated=query.span("updated_at"),
        )

    def bound(self, account: int) -> dict[str, Any]:
        """What a token of this listing is bound to."""
        lists = {name: getattr(self, name) for name in _LISTS}
        others = (self.instrument_type, self.symbol, self.created, self.updated)
        return {"of": "orders", "account": account, **lists, "others": [str(other) for other in others]}

    def admitting(self, ledger: Ledger) -> Callable[[Order, Row], bool]:
        """Tells whether an order, shown as a row, is asked for; what the market does not know matches nothing."""
        instruments = known_symbols(ledger, self.instrument_ids)
        underlyings = known_symbols(ledger, self.underlying_instrument_ids)
        ids = None if self.order_ids is None else {wanted.lower() for wanted in self.order_ids}

        def admits(order: Order, row: Row) -> bool:
            over = {underlying_symbol(ledger, symbol) for symbol in order.symbols}
            return (
                (ids is None or order.id in ids)
                and (instruments is None or not instruments.isdisjoint(order.symbols))
                and (underlyings is None or bool(over & underlyings))
                and (self.symbol is None or canonical(self.symbol) in order.symbols)
                and (self.instrument_type is None or row["instrument_type"] == self.instrument_type)
                and (self.status is None or row["status"] in self.status)
                and self.created.has(order.created_at)
                and self.updated.has(order.updated_at)
            )

        return admits
