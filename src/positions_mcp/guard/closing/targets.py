"""The order that closing a position should produce, the order of sending, and the hours by which a close is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Self

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.quotes import find_underlying, underlying_price
from positions_mcp.domain.account.sessions import NEW_YORK, MarketState, new_york_day
from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session
from positions_mcp.domain.exercise.timing import TradingEnd, last_trade
from positions_mcp.domain.ids import instrument_id
from positions_mcp.domain.money import EXACT, exact_product, exact_sum, to_cents
from positions_mcp.domain.operation.plan import CloseTarget, closing_side
from positions_mcp.domain.portfolio.exposure import notional_of
from positions_mcp.domain.portfolio.locks import Locks, locks_on
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import MarketCalendar

OPEN = "open"
"""How what a plan says of a session begins, in which an order trades at once."""
_LONGEST_CLOSURE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Hours:
    """What time it is on the exchange, and what that means for an option."""

    now: datetime
    calendar: MarketCalendar
    deadline: DeadlineRule

    @classmethod
    def of(cls, deps: Dependencies) -> Self:
        return cls(deps.market_clock.now(), deps.calendar, DeadlineRule(deps.policy.exercise_deadline))

    @property
    def market(self) -> MarketState:
        """The session that is on, or the next one."""
        return self.calendar.state_at(self.now)

    @property
    def in_words(self) -> str:
        """What happens to an order sent now."""
        if (session := self.market.current) is not None:
            return f"{OPEN} until {session.closes.astimezone(NEW_YORK):%H:%M} New York"
        opens = self.market.next.opens.astimezone(NEW_YORK)
        return f"closed: may queue until {opens:%a %Y-%m-%d %H:%M} New York"

    def are_over(self, expiration: date) -> bool:
        """Whether options of that expiration have expired on a day before: see `TradingEnd.has_expired`."""
        today = new_york_day(self.now)
        return expiration < today or (
            expiration <= today + _LONGEST_CLOSURE and expiry_session(expiration, self.calendar).day < today
        )

    def last_trade(self, position: Position, account: Account) -> TradingEnd | None:
        """When a position trades for the last time, by the API's facts where they were read; None if not an option."""
        facts = account.beside.contracts.get(position.instrument_id)
        return last_trade(position, facts, self.calendar, self.deadline)


def close_target(position: Position, account: Account, cancel_orders: bool) -> CloseTarget:
    """The order that closing a position should produce: for what nothing locks that stays."""
    stays = locks_of(position, account).stays(cancel_orders=cancel_orders)
    price = price_of_underlying(position, account)
    notional = notional_of(position, account.book, price=price)
    is_nonsense = _is_below_nothing(position)
    return CloseTarget(
        symbol=label(position.name),
        instrument_id=instrument_id(position.instrument_id),
        measure=notional.amount,
        priced=notional.priced and not is_nonsense,
        quantity=position.quantity,
        available=position.available_quantity,
        value=None if is_nonsense else position.value,
        side=closing_side(position.quantity),
        order_quantity=EXACT.subtract(position.quantity.copy_abs(), stays),
        type_says=label(position.position_type or "") if position.side_contradicts else "",
        underlying_price=price,
    )


def _is_below_nothing(position: Position) -> bool:
    """Whether the API prices it, or values what is held long, below zero: that says nothing of what it trades for."""
    price, value = position.instrument_price, position.value
    return (price is not None and price < 0) or (value is not None and value < 0 < position.quantity)


@dataclass(frozen=True, slots=True)
class Traded:
    """What closes come to: what is sold and bought, each without its sign, and how many have no value."""

    sells: Decimal
    buys: Decimal
    missing: int

    @classmethod
    def of(cls, targets: Iterable[CloseTarget]) -> Traded:
        """The sums of `traded_value`, by the side of the order."""
        valued = [(target.side, traded_value(target)) for target in targets]
        known = [(side, value.copy_abs()) for side, value in valued if value is not None]
        sells = exact_sum(value for side, value in known if side is OrderSide.SELL)
        buys = exact_sum(value for side, value in known if side is OrderSide.BUY)
        return cls(sells, buys, len(valued) - len(known))

    @property
    def net(self) -> Decimal:
        """What the account receives; negative where it pays."""
        return EXACT.subtract(self.sells, self.buys)

    @property
    def gross(self) -> Decimal:
        """What is traded, whichever way."""
        return EXACT.add(self.sells, self.buys)

    @property
    def words(self) -> str:
        """`Sells about 300.00, buys about 100.00: net +200.00 before fees`, or that the net is not known."""
        sides = (("sells", self.sells), ("buys", self.buys))
        said = ", ".join(f"{verb} about {amount:,f}" for verb, amount in sides if amount)
        if not said and self.missing:
            return f"The net is not known: {self.missing} without a value"
        of = f" of what is known {self.net:+,f} before fees; {self.missing} without a value"
        net = of if self.missing else f" {self.net:+,f} before fees"
        return f"{said[:1].upper()}{said[1:]}: net{net}" if said else "Comes to nothing"


def price_of_underlying(position: Position, account: Account) -> Decimal | None:
    """What the underlying of an option costs: as it is held, else by market data; None where neither says."""
    if not position.is_option:
        return None
    if (held := underlying_price(find_underlying(position, account.book))) is not None:
        return held
    latest = account.beside.latest.get(position.underlying_instrument_id or "")
    return latest.price if latest else None


def locks_of(position: Position, account: Account) -> Locks:
    """What locks a position, as far as orders and instructions were read."""
    return locks_on(position, account.open_orders, account.outstanding)


def in_order_of_sending(positions: Sequence[Position]) -> list[Position]:
    """Short options first, then short stock, then longs, so that no sale uncovers a short that is to be bought back."""

    def rank(position: Position) -> int:
        if position.quantity > 0 or position.side_contradicts:
            return 2
        return 0 if position.is_option else 1

    return sorted(positions, key=rank)


def traded_value(target: CloseTarget) -> Decimal | None:
    """Signed market value of what is to be traded: the API's own figure for a whole position, else to the cent."""
    held = target.quantity.copy_abs()
    if target.value is None or target.order_quantity == held:
        return target.value
    return to_cents(exact_product(target.value, target.order_quantity) / held)
