"""The reading operations: positions, instructions and orders of an account, as rows and metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import Fault
from positions_mcp.paper.holdings import Holding
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.lookup import known_symbol, known_symbols, underlying_symbol
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.order_filters import OrderFilters
from positions_mcp.paper.paging import page_of
from positions_mcp.paper.requests import Query, uuids_only
from positions_mcp.paper.valuation import Valuation, ValuedPosition
from positions_mcp.paper.views import late_holdings
from positions_mcp.paper.wire import (
    compact,
    instruction_row,
    instrument_type,
    order_row,
    position_row,
    position_type,
    shown_symbol,
)

_LAST = "~"
"""What an empty symbol is sorted as: behind every other."""
_WORTH = {"MARKET_VALUE", "UNREALIZED_PNL", "DAILY_UNREALIZED_PNL", "DAILY_REALIZED_PNL"}
Shown = Callable[[Order], Order | None]
Amount = Callable[[ValuedPosition], Decimal | None]
_AMOUNTS: dict[str, Amount] = {
    "MARKET_VALUE": lambda valued: valued.market_value if valued.price is not None else None,
    "UNREALIZED_PNL": lambda valued: valued.unrealized,
    "DAILY_UNREALIZED_PNL": lambda valued: valued.daily,
    "DAILY_REALIZED_PNL": lambda valued: valued.daily_realized,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows as JSON texts, ready to be joined, and what the metadata says about paging."""

    rows: list[str]
    metadata: dict[str, Any] = field(default_factory=dict)


class Reader:
    """Answers reading operations from a ledger; keeps values and rows for as long as book and prices stand still."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._key: tuple[object, ...] = ()
        self._valuation: Valuation | None = None
        self._texts: dict[tuple[int, str], str] = {}
        self._in_order: dict[tuple[int, str, bool], list[Holding]] = {}

    def positions(
        self, moment: Moment, revision: int, account: int, query: Query, late: Fault | None = None
    ) -> Listing:
        """GET positions; as they were some seconds ago where they are `late`.

        Raises:
            Refusal: 400 for a parameter that is not allowed.
        """
        wanted = uuids_only("instrument_ids", query.several("instrument_ids"), self._dialect)
        sort_by = query.one_of("sort_by", self._dialect.sort_keys) or "SYMBOL"
        descending = query.one_of("sort_direction", ("ASC", "DESC")) == "DESC"
        filters = {"of": "positions", "account": account, "ids": wanted, "by": sort_by, "down": descending}
        ledger = moment.ledger
        page = page_of(*query.page(), filters, ledger.facts.token_secret)
        if late is not None:
            held, symbols = late_holdings(moment, account, late), known_symbols(ledger, wanted)
            chosen = [holding for symbol, holding in held.items() if symbols is None or symbol in symbols]
            past = Valuation(moment)
            sorted_then = self._sorted(chosen, ledger, past, (sort_by, descending))
            then = [compact(position_row(valued, ledger, self._dialect)) for valued in past.of(page.of(sorted_then))]
            return Listing(then, page.metadata(len(sorted_then)))
        valuation = self._valued(moment, revision)
        # Every page of a whole book is a part of one order; sorting for each would cost its square.
        whole = (account, sort_by, descending) if wanted is None else None
        in_order = self._in_order.get(whole) if whole else None
        if in_order is None:
            in_order = self._sorted(_held(ledger, account, wanted), ledger, valuation, (sort_by, descending))
        if whole:
            self._in_order[whole] = in_order
        rows = [self._text(valued, ledger) for valued in valuation.of(page.of(in_order))]
        return Listing(rows, page.metadata(len(in_order)))

    def instructions(self, ledger: Ledger, account: int, query: Query) -> list[str]:
        """GET instructions: everything that was taken in, oldest first. Refused rows were never taken in.

        Raises:
            Refusal: 404 for an instrument that the market does not know.
        """
        found: Iterable[Instruction] = (i for i in ledger.instructions.values() if i.account == account)
        contract, over = query.text("instrument_id"), query.text("underlying_instrument_id")
        if contract is not None:
            symbol = known_symbol(ledger, contract)
            found = [i for i in found if i.symbol == symbol]
        if over is not None:
            underlying = known_symbol(ledger, over)
            found = [i for i in found if underlying_symbol(ledger, i.symbol) == underlying]
        return [compact(instruction_row(i, ledger, self._dialect)) for i in found]

    def orders(self, ledger: Ledger, account: int, query: Query, shown: Shown) -> Listing:
        """GET orders, newest first, as they are `shown`.

        Raises:
            Refusal: 400 for a parameter that is not allowed.
        """
        wanted = OrderFilters.of(query, self._dialect)
        page = page_of(*query.page(), wanted.bound(account), ledger.facts.token_secret)
        symbols = wanted.resolved(ledger)
        visible = (seen for o in ledger.orders.values() if o.account == account and (seen := shown(o)) is not None)
        chosen = [
            order
            for order in sorted(visible, key=lambda order: (order.created_at, order.number), reverse=True)
            if wanted.admit(order, order_row(order, ledger, self._dialect), ledger, symbols)
        ]
        return Listing([self.order_text(order, ledger) for order in page.of(chosen)], page.metadata(len(chosen)))

    def order(self, ledger: Ledger, account: int, order_id: str, shown: Shown) -> str:
        """GET one order, as it is `shown`.

        Raises:
            Refusal: 404 if the account has no such order.
        """
        order = ledger.orders.get(order_id.lower())
        if order is not None and order.account == account:
            order = shown(order)
        if order is None or order.account != account:
            raise Refusal(404, f"Order {order_id[:64]} not found for account {account}")
        return self.order_text(order, ledger)

    def order_text(self, order: Order, ledger: Ledger) -> str:
        """One order as JSON."""
        return compact(order_row(order, ledger, self._dialect))

    def _valued(self, moment: Moment, revision: int) -> Valuation:
        key = (revision, moment.market.trading_moment(moment.now), moment.trading_day)
        if self._valuation is None or key != self._key:
            self._key, self._valuation, self._texts, self._in_order = key, Valuation(moment), {}, {}
        return self._valuation

    def _text(self, valued: ValuedPosition, ledger: Ledger) -> str:
        key = (valued.holding.account, valued.holding.symbol)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = compact(position_row(valued, ledger, self._dialect))
        return text

    def _sorted(
        self, holdings: list[Holding], ledger: Ledger, valuation: Valuation, order: tuple[str, bool]
    ) -> list[Holding]:
        """A total order: by the key, missing values last in both directions, then by symbol."""
        sort_by, descending = order
        by_symbol = sorted(holdings, key=lambda holding: shown_symbol(ledger.instruments[holding.symbol]) or _LAST)
        if sort_by == "SYMBOL":
            in_order = by_symbol[::-1] if descending else by_symbol
            return sorted(in_order, key=lambda holding: not shown_symbol(ledger.instruments[holding.symbol]))
        if sort_by == "QUANTITY":
            return sorted(by_symbol, key=lambda holding: holding.quantity, reverse=descending)
        if sort_by in _WORTH:
            amount = _AMOUNTS[sort_by]
            pairs = [(amount(valued), valued.holding) for valued in valuation.of(by_symbol)]
            there = sorted(
                ((value, holding) for value, holding in pairs if value is not None),
                key=lambda pair: pair[0],
                reverse=descending,
            )
            return [holding for _, holding in there] + [holding for value, holding in pairs if value is None]

        def kind(holding: Holding) -> str:
            instrument = ledger.instruments[holding.symbol]
            if sort_by == "INSTRUMENT_TYPE":
                return instrument_type(instrument)
            return position_type(holding.quantity, instrument, self._dialect)

        return sorted(by_symbol, key=kind, reverse=descending)


def _held(ledger: Ledger, account: int, wanted: Sequence[str] | None) -> list[Holding]:
    symbols = known_symbols(ledger, wanted)
    if symbols is None:
        return ledger.holdings_of(account)
    return [holding for symbol in symbols if (holding := ledger.holdings.get((account, symbol)))]
