"""What one instruction does and gives up, as lines a person reads before deciding: dollars given up first.

What the account is left with is not the matter of one row: the projection of the whole evening says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.quotes import (
    Moneyness,
    intrinsic_value,
    is_exercised_by_exception,
    moneyness,
    points_in_the_money,
)
from positions_mcp.domain.enums import ExerciseStyle, InstructionType
from positions_mcp.domain.exercise.facts import Basis
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.settlement import AskedInstruction
from positions_mcp.domain.exercise.timing import EarlyExercise
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum, plain
from positions_mcp.domain.portfolio.exposure import Notional


@dataclass(frozen=True, slots=True)
class ForgoneValue:
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
            exercising = "exercising" if self.instruction_type is InstructionType.DO_NOT_EXERCISE else "it"
            return (
                f"{named} gives up {most}: {exercising} is worth at most {self.worth_at_most:,.2f} by the option's own "
                "price, as the underlying's close is not known"
            )
        if self.most is None:
            return f"{named} gives up what is not known"
        if self.least == self.most:
            return f"{self.most:,.2f} given up by {named}"
        return f"{self.least:,.2f} to {self.most:,.2f} given up by {named}"


def given_up(row: AskedInstruction, option: ProjectedOption) -> ForgoneValue:
    """What one instruction gives up: not exercising in the money, or exercising out of it, or before its time.

    Without an underlying's price, the option's own bounds what exercising is worth: an American option is worth its
    intrinsic value at least, and a call never more than the share.
    """
    settling, price = option.settling, option.price.price
    kind, quantity = row.instruction_type, row.quantity
    named = (settling.contract.compact, kind, quantity)
    size, own = settling.terms.multiplier, settling.position.instrument_price
    if size is None:
        return ForgoneValue(*named, ZERO, None)
    if price is not None:
        least, most = _at(settling.contract, kind, price)
        if not settling.expires and own is not None and kind is InstructionType.EXERCISE:
            time_value = max(own - intrinsic_value(settling.contract, price), ZERO)
            least, most = exact_sum((least, time_value)), exact_sum((most, time_value))
        return ForgoneValue(*named, exact_product(least, size, quantity), exact_product(most, size, quantity))
    if own is None or own < 0 or settling.terms.style is not ExerciseStyle.AMERICAN or settling.terms.in_cash:
        return ForgoneValue(*named, ZERO, None)
    low, high = _bounds(settling.contract, kind, own)
    return ForgoneValue(
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


_CONTRARY = (
    "Not known: whether CONTRARY_EXERCISE exercises an option that is not out of the money or gives it up: the API "
    "does not say; EXERCISE and DO_NOT_EXERCISE are unambiguous."
)


def card(row: AskedInstruction, option: ProjectedOption, early: EarlyExercise | None = None) -> tuple[str, ...]:
    """The card of one row. `early` where it does not wait for expiration."""
    contract, multiplier = option.settling.contract, option.settling.terms.multiplier
    lost = given_up(row, option).said
    size = "multiplier not known" if multiplier is None else f"multiplier {plain(multiplier)}"
    named = f"{row.instruction_type} {row.quantity} {contract.compact}"
    lines = [f"{lost}."] if lost else []
    lines.append(f"{named} (strike {plain(contract.strike.normalize())}, {size}): {_effect(row, option)}.")
    lines.append(f"{contract.root}: {price_said(option)}.")
    if early is not None and row.instruction_type is InstructionType.EXERCISE:
        lines += early.said
    if row.instruction_type is InstructionType.CONTRARY_EXERCISE and _moneyness(option) is not Moneyness.OUT:
        lines.append(_CONTRARY)
    return tuple(lines)


def price_said(option: ProjectedOption) -> str:
    """Which price decides, as far as it is known, and where that leaves the option."""
    if option.price.basis is Basis.ADJUSTED:
        return f"{option.price.said}; cash, shares and moneyness not known"
    where = _moneyness(option)
    if not option.settling.expires:
        latest = option.price.latest
        said = f"latest {latest.said}" if latest else "no price is known"
    else:
        said = option.price.said
    return f"{said}; {'moneyness not known' if where is Moneyness.UNKNOWN else where}"


def notional_of_instruction(kind: InstructionType, quantity: int, option: ProjectedOption) -> Notional:
    """What an instruction counts for against limits: the money of an exercise, or the intrinsic value given up.

    Not `priced`, and at least zero, where the deliverable or, for not exercising, the price is not known.
    """
    contract, price, multiplier = option.settling.contract, option.price.price, option.settling.terms.multiplier
    level: Decimal | None = contract.strike
    if kind is InstructionType.DO_NOT_EXERCISE:
        level = None if price is None else intrinsic_value(contract, price)
    amount = exact_product(level or ZERO, multiplier or STANDARD_MULTIPLIER, quantity)
    return Notional(amount, priced=level is not None and multiplier is not None)


def _effect(row: AskedInstruction, option: ProjectedOption) -> str:
    contract, terms = option.settling.contract, option.settling.terms
    if row.instruction_type is InstructionType.DO_NOT_EXERCISE:
        return "not exercised, no cash, no shares"
    if terms.multiplier is None:
        return "cash and shares not known"
    shares = exact_product(terms.multiplier, row.quantity)
    if terms.in_cash:
        if option.price.price is None:
            return "cash not known, no shares"
        return f"{_dollars(exact_product(points_in_the_money(contract, option.price.price), shares))}, no shares"
    sign = 1 if contract.right is OptionRight.CALL else -1
    moves = "receives" if sign > 0 else "delivers"
    return f"{_dollars(exact_product(-sign, contract.strike, shares))}, {moves} {shares:,f} shares"


def _dollars(cash: Decimal) -> str:
    return f"{'pays' if cash < 0 else 'receives'} {abs(cash):,.2f}"


def _moneyness(option: ProjectedOption) -> Moneyness:
    stated = option.price.price if option.is_stated else None
    return moneyness(option.settling.contract, stated)
