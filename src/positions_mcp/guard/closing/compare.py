"""Is what was approved still what is held, at about the same prices? The comparison right before sending (G-03).

Shares go by their own price. An option does not: a premium of 0.05 doubles within a minute, and nobody decided about
that. It goes by its underlying's move, and by dollars: the change of its own price, held against what its underlying
costs. Where an underlying's price is not known, by dollars alone, half as far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.sessions import minute
from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, OptionRight, parse_option_symbol
from positions_mcp.domain.money import exact_product, plain, to_cents
from positions_mcp.domain.operation.operation import Reservation
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.text import label, said_once
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import OPEN, Hours, close_target, price_of_underlying
from positions_mcp.guard.closing.unclosable import Unclosable, why_stuck
from positions_mcp.guard.kind import Comparison, as_planned, why_renamed

_ALONE = Decimal("0.5")
"""Of the tolerance, where an option's own price alone tells: at the money it moves half as far as its underlying."""


@dataclass(frozen=True, slots=True)
class CurrentValue:
    """What a position is worth now, and the price of its underlying; None is not known."""

    quantity: Decimal
    value: Decimal | None
    underlying_price: Decimal | None = None

    @classmethod
    def of(cls, held: Position, account: Account) -> Self:
        """From an account just read."""
        return cls(held.quantity, held.value, price_of_underlying(held, account))


def why_moved(target: CloseTarget, now: CurrentValue, tolerance: Decimal, option_tolerance: Decimal) -> str:
    """Why the prices that a person decided at do not hold any more; empty where they do."""
    contract = parse_option_symbol(target.symbol)
    if contract is None:
        return _why_value_moved(target, now, tolerance)
    was, is_now = target.underlying_price, now.underlying_price
    if was and is_now and abs(is_now - was) > was * option_tolerance:
        percent = 100 * (is_now - was) / was
        return (
            f"The underlying of {target.called} moved {percent:+.1f} %, from {plain(was)} to {plain(is_now)}, beyond "
            f"the tolerance of {100 * option_tolerance:f} % for options."
        )
    return _why_premium_moved(target, contract, now, option_tolerance)


def _why_value_moved(target: CloseTarget, now: CurrentValue, tolerance: Decimal) -> str:
    if not target.value:
        return ""
    if not now.value:
        return f"{target.called} has no value now; {plain(abs(target.value))} was planned."
    before, after = abs(target.value / target.quantity), abs(now.value / now.quantity)
    if abs(after - before) <= before * tolerance:
        return ""
    percent = 100 * (after - before) / before
    return f"{target.called} moved {percent:+.1f} % in value, beyond the tolerance of {100 * tolerance:.0f} %."


def _why_premium_moved(
    target: CloseTarget, contract: OptionContract, now: CurrentValue, option_tolerance: Decimal
) -> str:
    if not target.value:
        return ""
    is_underlying_known = bool(target.underlying_price and now.underlying_price)
    if now.value is None:
        # What a short put can cost is its strike, whatever its price is.
        is_bounded = target.quantity < 0 and contract.right is OptionRight.PUT
        said = f"{target.called} has no value now; {plain(abs(target.value))} was planned."
        return "" if is_underlying_known or is_bounded else said
    before, after = _per_share(target.value, target.quantity), _per_share(now.value, now.quantity)
    reference = now.underlying_price or target.underlying_price or contract.strike
    allowed = exact_product(reference, option_tolerance, 1 if is_underlying_known else _ALONE)
    if abs(after - before) <= allowed:
        return ""
    dollars = to_cents(exact_product(abs(after - before), STANDARD_MULTIPLIER, target.order_quantity))
    return (
        f"{target.called} moved from {plain(to_cents(before))} to {plain(to_cents(after))} a share, ${dollars:,f} for "
        f"what is to be traded, beyond the tolerance of {plain(to_cents(allowed))} a share."
    )


def _per_share(value: Decimal, quantity: Decimal) -> Decimal:
    return abs(value / quantity) / STANDARD_MULTIPLIER


_TRADED = {OrderSide.BUY: "bought", OrderSide.SELL: "sold"}


def compare_closes(plan: Plan, account: Account, policy: Policy, hours: Hours) -> Comparison:
    """More to trade, another sign, a new target (close-all) or a price beyond the tolerance is stale; less is not."""
    if not plan.closes:
        return as_planned(plan)
    result, book = Comparison(), account.book
    reading, reasons = _Reading(plan, account, policy, hours), list[tuple[str, str]]()
    for position, target in enumerate(plan.closes):
        held = book.by_id.get(target.instrument_id)
        if held is None and not book.is_complete:
            # What an incomplete listing does not show may still be held.
            _miss(result, plan, position, target)
            continue
        if held is None or held.quantity == 0:
            result.flat.add(position)
            result.notes[position] = "already flat"
            continue
        if not plan.flatten and (reason := reading.why_stale(target, held)):
            reasons.append((target.called, reason))
            continue
        now = close_target(held, account, plan.cancel_orders)
        if held.quantity != target.quantity:
            result.notes[position] = f"{plain(held.quantity)} held now, {plain(target.quantity)} when planned"
        elif now.order_quantity != target.order_quantity:
            quantities = f"{plain(now.order_quantity)} can be closed now, {plain(target.order_quantity)} when planned"
            result.notes[position] = quantities
        notional = max(now.measure, Decimal(0)) if now.priced else max(now.measure, target.measure)
        result.reserving[position] = Reservation(
            measure=notional, expected_quantity=now.order_quantity, held=held.quantity
        )
    result.stale += said_once(reasons)
    if plan.kind.is_account_wide:
        result.stale += reading.what_is_new()
    result.stale += filter(None, [why_closed(plan, hours)])
    return result


def why_closed(plan: Plan, hours: Hours) -> str:
    """That an order would wait now, where it was planned to trade at once; empty where it would not."""
    if not plan.session.startswith(OPEN) or plan.flatten or (market := hours.market).is_open:
        return ""
    return (
        f"The market is closed until {minute(market.next.opens)}, and was open when this was planned: an order would "
        "wait until then and fill at another price."
    )


def _miss(result: Comparison, plan: Plan, position: int, target: CloseTarget) -> None:
    if plan.flatten:
        result.notes[position] = "not in the listing just read, which was incomplete"
        result.reserving[position] = Reservation(measure=target.measure)
    else:
        result.stale.append(f"{target.called} is not in the listing just read, which was incomplete.")


def _more_to_close(target: CloseTarget, now: CloseTarget) -> str:
    planned, more = plain(target.order_quantity), plain(now.order_quantity)
    return f"{target.called}: {more} would now be {_TRADED[now.side]}, {planned} planned; less is locked than before."


@dataclass(frozen=True, slots=True)
class _Reading:
    """An account just read, against a plan."""

    plan: Plan
    account: Account
    policy: Policy
    hours: Hours

    def why_stale(self, target: CloseTarget, held: Position) -> str:
        """Why what was approved of a target does not hold any more; empty where it does."""
        return (
            _why_another(target, held)
            or why_moved(
                target, CurrentValue.of(held, self.account), self.policy.tolerance, self.policy.option_tolerance
            )
            or self._why_not_free(target, held)
        )

    def what_is_new(self) -> Iterator[str]:
        """Positions that a request for the whole account would close too, and nobody approved."""
        book, plan = self.account.book, self.plan
        if plan.flatten:
            return
        planned = {target.instrument_id for target in plan.targets}
        if not book.is_complete:
            yield f"What the account holds is not fully known: {'; '.join(book.doubts)}."
        for held in book.positions:
            is_other = held.quantity != 0 and held.is_closable and held.instrument_id not in planned
            if is_other and not self._why_stuck(held):
                yield f"{label(held.name)} is new: {plain(held.quantity)} now, not in the plan."

    def _why_not_free(self, target: CloseTarget, held: Position) -> str:
        if stuck := self._why_stuck(held):
            return f"{stuck.reason}."
        now = close_target(held, self.account, self.plan.cancel_orders)
        return _more_to_close(target, now) if now.order_quantity > target.order_quantity else ""

    def _why_stuck(self, held: Position) -> Unclosable | None:
        return why_stuck(held, self.account, self.plan.cancel_orders, self.hours)


def _why_another(target: CloseTarget, held: Position) -> str:
    was, now = target.quantity, held.quantity
    if why := why_renamed(target, label(held.name)):
        return why
    if held.side_contradicts and not target.type_says:
        return f"{target.called} contradicts itself now: quantity {plain(now)}, type {label(held.position_type or '')}."
    if (was > 0) != (now > 0):
        return f"{target.called} changed sign: {plain(now)} now, {plain(was)} planned."
    if abs(now) > abs(was):
        return f"{target.called}: {plain(abs(now))} would now be {_TRADED[target.side]}, {plain(abs(was))} planned."
    return ""
