"""Whether prices have moved so far since a plan that what was approved is another thing (G-03).

Shares go by their own price. An option does not: a premium of 0.05 doubles within a minute, and nobody decided about
that. It goes by its underlying's move, and by dollars: the change of its own price, held against what its underlying
costs. Where an underlying's price is not known, by dollars alone, half as far.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, OptionRight, parse_option_symbol
from positions_mcp.domain.money import exact_product, plain, to_cents
from positions_mcp.domain.operation.plan import CloseTarget
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import price_of_underlying

_ALONE = Decimal("0.5")
"""Of the tolerance, where an option's own price alone tells: at the money it moves half as far as its underlying."""


@dataclass(frozen=True, slots=True)
class Now:
    """What a position is worth now, and the price of its underlying; None is not known."""

    quantity: Decimal
    value: Decimal | None
    underlying_price: Decimal | None = None

    @classmethod
    def of(cls, held: Position, account: Account) -> Self:
        """From an account just read."""
        return cls(held.quantity, held.value, price_of_underlying(held, account))


def why_moved(target: CloseTarget, now: Now, tolerance: Decimal, option_tolerance: Decimal) -> str:
    """Why the prices that a person decided at do not hold any more; empty where they do."""
    contract = parse_option_symbol(target.symbol)
    if contract is None:
        return _why_value_moved(target, now, tolerance)
    was, is_now = target.underlying_price, now.underlying_price
    if was and is_now and abs(is_now - was) > was * option_tolerance:
        percent = 100 * (is_now - was) / was
        return (
            f"The underlying of {target.symbol} moved {percent:+.1f} %, from {plain(was)} to {plain(is_now)}, beyond "
            f"the tolerance of {100 * option_tolerance:f} % for options."
        )
    return _why_premium_moved(target, contract, now, option_tolerance)


def _why_value_moved(target: CloseTarget, now: Now, tolerance: Decimal) -> str:
    if not target.value:
        return ""
    if not now.value:
        return f"{target.symbol} has no value now; {plain(abs(target.value))} was planned."
    before, after = abs(target.value / target.quantity), abs(now.value / now.quantity)
    if abs(after - before) <= before * tolerance:
        return ""
    percent = 100 * (after - before) / before
    return f"{target.symbol} moved {percent:+.1f} % in value, beyond the tolerance of {100 * tolerance:.0f} %."


def _why_premium_moved(target: CloseTarget, contract: OptionContract, now: Now, option_tolerance: Decimal) -> str:
    if not target.value:
        return ""
    is_underlying_known = bool(target.underlying_price and now.underlying_price)
    if now.value is None:
        # What a short put can cost is its strike, whatever its price is.
        is_bounded = target.quantity < 0 and contract.right is OptionRight.PUT
        said = f"{target.symbol} has no value now; {plain(abs(target.value))} was planned."
        return "" if is_underlying_known or is_bounded else said
    before, after = _per_share(target.value, target.quantity), _per_share(now.value, now.quantity)
    reference = now.underlying_price or target.underlying_price or contract.strike
    allowed = exact_product(reference, option_tolerance, 1 if is_underlying_known else _ALONE)
    if abs(after - before) <= allowed:
        return ""
    dollars = to_cents(exact_product(abs(after - before), STANDARD_MULTIPLIER, target.order_quantity))
    return (
        f"{target.symbol} moved from {plain(to_cents(before))} to {plain(to_cents(after))} a share, ${dollars:,f} for "
        f"what is to be traded, beyond the tolerance of {plain(to_cents(allowed))} a share."
    )


def _per_share(value: Decimal, quantity: Decimal) -> Decimal:
    return abs(value / quantity) / STANDARD_MULTIPLIER
