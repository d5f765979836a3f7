"""The reading operations, of positions, instructions and orders; and what a fault that makes them late shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from positions_mcp.paper.answers import Answer, Call
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.engine.instructions import CLEARING_UNAVAILABLE
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import Fault, Strikes
from positions_mcp.paper.holdings import Holding
from positions_mcp.paper.ledger import Ledger, known_symbol, known_symbols, underlying_symbol
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.requests import Query, Span, page_of, wanted_positions
from positions_mcp.paper.symbols import canonical
from positions_mcp.paper.valuation import Valuation, ValuedPosition
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import Row, compact, instruction_row, order_row, position_row, position_type, shown_symbol

CLEARING_DOWN = Refusal(503, CLEARING_UNAVAILABLE)
_LAST = "~"
"""What an empty symbol is sorted as: behind every other."""
Amount = Callable[[ValuedPosition], Decimal | None]
_WORTH: dict[str, Amount] = {
    "MARKET_VALUE": lambda valued: valued.market_value if valued.price is not None else None,
    "UNREALIZED_PNL": lambda valued: valued.unrealized,
    "DAILY_UNREALIZED_PNL": lambda valued: valued.daily,
    "DAILY_REALIZED_PNL": lambda valued: valued.daily_realized,
}


class Reads:
    """Answers calls. Each method is named after its operation and raises `Refusal` for what is wrong.

    Values and rows of positions are kept for as long as book and prices stand still.
    """

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._key: tuple[object, ...] = ()
        self._valuation: Valuation | None = None
        self._texts: dict[tuple[int, str], str] = {}
        self._in_order: dict[tuple[int, str, bool], list[Holding]] = {}

    def get_positions(self, call: Call) -> Answer:
        """GET positions: 200 with a page; as they were some seconds ago where a fault makes them late."""
        query, account = call.query, call.account
        wanted = wanted_positions(query, self._dialect)
        sort_by = query.one_of("sort_by", self._dialect.sort_keys) or "SYMBOL"
        descending = query.one_of("sort_direction", ("ASC", "DESC")) == "DESC"
        filters = {"of": "positions", "account": account, "ids": wanted, "by": sort_by, "down": descending}
        late = call.strikes.of("stale_positions")
        with self._exchange.reading() as moment:
            ledger = moment.ledger
            page = page_of(*query.page(), filters, ledger.facts.token_secret)
            if late is not None:
                symbols, past = known_symbols(ledger, wanted), Valuation(moment)
                held = late_holdings(moment, account, late).items()
                chosen = [holding for symbol, holding in held if symbols is None or symbol in symbols]
                in_order = self._sorted(chosen, ledger, past, (sort_by, descending))
                rows = [compact(position_row(each, ledger, self._dialect)) for each in past.of(page.of(in_order))]
                return Answer(rows, metadata=page.metadata(len(in_order)))
            valuation = self._valued(moment)
            # Every page of a whole book is a part of one order; sorting for each would cost its square.
            whole = (account, sort_by, descending) if wanted is None else None
            known = self._in_order.get(whole) if whole else None
            if known is None:
                known = self._sorted(_held(ledger, account, wanted), ledger, valuation, (sort_by, descending))
            if whole:
                self._in_order[whole] = known
            rows = [self._text(valued, ledger) for valued in valuation.of(page.of(known))]
            return Answer(rows, metadata=page.metadata(len(known)))

    def get_position_instructions(self, call: Call) -> Answer:
        """GET instructions: 200 with all that were taken in, oldest first. Refused rows were never taken in."""
        if call.struck_by("clearing_down"):
            raise CLEARING_DOWN
        contract, over = call.query.text("instrument_id"), call.query.text("underlying_instrument_id")
        with self._exchange.reading() as moment:
            ledger = moment.ledger
            found: Iterable[Instruction] = (i for i in ledger.instructions.values() if i.account == call.account)
            if contract is not None:
                symbol = known_symbol(ledger, contract)
                found = [i for i in found if i.symbol == symbol]
            if over is not None:
                underlying = known_symbol(ledger, over)
                found = [i for i in found if underlying_symbol(ledger, i.symbol) == underlying]
            return Answer([compact(instruction_row(i, ledger, self._dialect)) for i in found])

    def get_orders(self, call: Call) -> Answer:
        """GET orders: 200 with a page, newest first."""
        wanted = OrderFilters.of(call.query, self._dialect)
        with self._exchange.reading() as moment:
            ledger, shown = moment.ledger, OrderView(call.strikes, moment).listed
            page = page_of(*call.query.page(), wanted.bound(call.account), ledger.facts.token_secret)
            admits = wanted.admitting(ledger)
            mine = (order for order in ledger.orders.values() if order.account == call.account)
            visible = [seen for order in mine if (seen := shown(order)) is not None]
            visible.sort(key=lambda order: (order.created_at, order.number), reverse=True)
            rows = ((order, order_row(order, ledger, self._dialect)) for order in visible)
            chosen = [row for order, row in rows if admits(order, row)]
            return Answer([compact(row) for row in page.of(chosen)], metadata=page.metadata(len(chosen)))

    def get_order(self, call: Call) -> Answer:
        """GET one order: 200 with one object."""
        with self._exchange.reading() as moment:
            order = moment.ledger.orders.get(call.target.lower())
            if order is not None and order.account == call.account:
                order = OrderView(call.strikes, moment).known(order)
            if order is None or order.account != call.account:
                raise Refusal(404, f"Order {call.target[:64]} not found for account {call.account}")
            return Answer.one(order_row(order, moment.ledger, self._dialect))

    def _valued(self, moment: Moment) -> Valuation:
        key = (self._exchange.revision, moment.market.trading_moment(moment.now), moment.trading_day)
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
        if amount := _WORTH.get(sort_by):
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
                return instrument.kind
            return position_type(holding.quantity, instrument, self._dialect)

        return sorted(by_symbol, key=kind, reverse=descending)


def _held(ledger: Ledger, account: int, wanted: Sequence[str] | None) -> list[Holding]:
    symbols = known_symbols(ledger, wanted)
    if symbols is None:
        return ledger.holdings_of(account)
    return [holding for symbol in symbols if (holding := ledger.holdings.get((account, symbol)))]


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


_LATE = Decimal(5)


def seconds_ago(fault: Fault, now: datetime) -> datetime:
    """The instant that a late read shows."""
    return now - timedelta(seconds=float(_LATE if fault.seconds is None else fault.seconds))


def late_holdings(moment: Moment, account: int, fault: Fault) -> dict[str, Holding]:
    """The positions of an account as a `stale_positions` shows them, by symbol."""
    ledger = moment.ledger
    now = {holding.symbol: holding for holding in ledger.holdings_of(account)}
    then = ledger.holdings_at(account, seconds_ago(fault, moment.now))
    late = {symbol for symbol in {*now, *then} if fault.is_on(ledger.instruments[symbol].instrument_id)}
    chosen = {symbol: then.get(symbol) if symbol in late else now.get(symbol) for symbol in {*now, *then}}
    return {symbol: holding for symbol, holding in chosen.items() if holding is not None}


def order_at(order: Order, instant: datetime) -> Order | None:
    """An order as it was at an instant; None before it was placed."""
    if order.created_at > instant:
        return None
    if order.updated_at <= instant or not order.history:
        return order
    past = next((past for past in reversed(order.history) if past.at <= instant), order.history[0])
    return replace(
        order,
        status=past.status,
        filled=past.filled,
        filled_value=past.filled_value,
        updated_at=past.at,
        details=order.details[: past.details],
    )


@dataclass(frozen=True, slots=True)
class OrderView:
    """What a read of orders sees, under the faults that strike it."""

    strikes: Strikes
    moment: Moment

    def known(self, order: Order) -> Order | None:
        """An order as it answers by its id."""
        late = self.strikes.of("stale_orders")
        if late is None or not self._is_on(late, order):
            return order
        return order_at(order, seconds_ago(late, self.moment.now))

    def listed(self, order: Order) -> Order | None:
        """An order as it stands in a listing; None where it is not listed."""
        shown = self.known(order)
        if shown is None:
            return None
        delisted, unlisted = self.strikes.of("delisted_orders"), self.strikes.of("unlisted_orders")
        if delisted and self._is_on(delisted, order) and not shown.is_open:
            return None
        if unlisted and self._is_on(unlisted, order):
            young = unlisted.seconds is None or order.created_at > seconds_ago(unlisted, self.moment.now)
            return None if young else shown
        return shown

    def _is_on(self, fault: Fault, order: Order) -> bool:
        instruments = self.moment.ledger.instruments
        return any(fault.is_on(instruments[symbol].instrument_id) for symbol in order.symbols)
