"""What one instruction does, as lines a person reads before deciding: dollars given up first, then cash and shares.

What the account is left with is not the matter of one row: the projection of the whole evening says it.
"""

from __future__ import annotations

from decimal import Decimal

from positions_mcp.domain.account.quotes import Moneyness, intrinsic_value, moneyness, points_in_the_money
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.deciding import Basis
from positions_mcp.domain.exercise.early import EarlyExercise
from positions_mcp.domain.exercise.given_up import given_up
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.settlement import Asked
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionRight
from positions_mcp.domain.money import ZERO, exact_product, plain
from positions_mcp.domain.portfolio.exposure import Notional

_CONTRARY = (
    "Not known: whether CONTRARY_EXERCISE exercises an option that is not out of the money or gives it up: the API "
    "does not say; EXERCISE and DO_NOT_EXERCISE are unambiguous."
)


def card(row: Asked, option: ProjectedOption, early: EarlyExercise | None = None) -> tuple[str, ...]:
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


def _effect(row: Asked, option: ProjectedOption) -> str:
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
