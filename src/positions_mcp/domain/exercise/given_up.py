"""What one instruction gives up against doing nothing, in dollars, and what bounds that where no price is known."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.quotes import intrinsic_value, is_exercised_by_exception, points_in_the_money
from positions_mcp.domain.enums import ExerciseStyle, InstructionType
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.settlement import Asked
from positions_mcp.domain.instruments import OptionContract, OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Dollars that one instruction gives up against doing nothing.

    They are the same where the price that decides is known. `most` is None where nothing bounds it.
    """

    symbol: str
    instruction_type: InstructionType
    quantity: int
    least: Decimal
    most: Decimal | None
    worth_at_most: Decimal | None = None
    """Without an underlying's price: what exercising can be worth in all, by the option's own price."""

    @property
    def said(self) -> str:
        """In words, the dollars first; empty where nothing is given up."""
        named = f"{self.instruction_type} {self.quantity} {self.symbol}"
        if self.most is not None and not self.most:
            return ""
        if self.worth_at_most is not None:
            most = "not known" if self.most is None else f"at most {self.most:,.2f}"
            return (
                f"{named} is worth at most {self.worth_at_most:,.2f} by the option's own price, as the underlying's "
                f"close is not known; what it gives up is {most}"
            )
        if self.most is None:
            return f"{named} gives up what is not known"
        if self.least == self.most:
            return f"{self.most:,.2f} given up by {named}"
        return f"{self.least:,.2f} to {self.most:,.2f} given up by {named}"


def given_up(row: Asked, option: ProjectedOption) -> GivenUp:
    """What one instruction gives up: not exercising in the money, or exercising out of it, or before its time.

    Without an underlying's price, the option's own bounds what exercising is worth: an American option is worth its
    intrinsic value at least, and a call never more than the share.
    """
    settling, price = option.settling, option.price.price
    kind, quantity = row.instruction_type, row.quantity
    named = (settling.contract.compact, kind, quantity)
    size, own = settling.terms.multiplier, settling.position.instrument_price
    if size is None:
        return GivenUp(*named, ZERO, None)
    if price is not None:
        least, most = _at(settling.contract, kind, price)
        if not settling.expires and own is not None and kind is InstructionType.EXERCISE:
            time_value = max(own - intrinsic_value(settling.contract, price), ZERO)
            least, most = exact_sum((least, time_value)), exact_sum((most, time_value))
        return GivenUp(*named, exact_product(least, size, quantity), exact_product(most, size, quantity))
    if own is None or own < 0 or settling.terms.style is not ExerciseStyle.AMERICAN or settling.terms.in_cash:
        return GivenUp(*named, ZERO, None)
    low, high = _bounds(settling.contract, kind, own)
    return GivenUp(
        *named,
        exact_product(low, size, quantity),
        None if high is None else exact_product(high, size, quantity),
        worth_at_most=exact_product(own, size, quantity),
    )


def _at(contract: OptionContract, kind: InstructionType, price: Decimal) -> tuple[Decimal, Decimal]:
    """Dollars per share given up at a price: at least, at most."""
    worth = intrinsic_value(contract, price) if is_exercised_by_exception(contract, price) else ZERO
    worse_than_market = max(-points_in_the_money(contract, price), ZERO)
    if kind is InstructionType.DO_NOT_EXERCISE:
        return worth, worth
    if kind is InstructionType.CONTRARY_EXERCISE:
        # In the money it may mean that the option is given up: the API does not say.
        return worse_than_market, max(worth, worse_than_market)
    return worse_than_market, worse_than_market


def _bounds(contract: OptionContract, kind: InstructionType, own: Decimal) -> tuple[Decimal, Decimal | None]:
    """Dollars per share given up, at least and at most, as far as an American option's own price says."""
    is_call = contract.right is OptionRight.CALL
    if kind is InstructionType.DO_NOT_EXERCISE:
        return (max(own - contract.strike, ZERO) if is_call else ZERO), own
    worse_than_market = max(contract.strike - own, ZERO) if is_call else None
    if kind is InstructionType.CONTRARY_EXERCISE and worse_than_market is not None:
        worse_than_market = max(worse_than_market, own)
    return ZERO, worse_than_market
