"""How the book looks to a read that a fault makes late: positions and orders as they were, orders not listed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.faults import Fault, Strikes
from positions_mcp.paper.holdings import Holding
from positions_mcp.paper.model import Order

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
