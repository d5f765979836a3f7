"""Exact decimals: amounts, prices and quantities are `Decimal` from the wire to the answer, never float."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

ZERO = Decimal(0)
CENT = Decimal("0.01")

EXACT = Context(prec=120)
"""Wide enough that sums and products of API decimals never round."""


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """The sum without rounding; zero for no values."""
    with localcontext(EXACT):
        return sum(values, ZERO)


def exact_product(*factors: Decimal | int) -> Decimal:
    """The product without rounding; one for no factors."""
    with localcontext(EXACT):
        product = Decimal(1)
        for factor in factors:
            product *= factor
        return product


def to_cents(amount: Decimal) -> Decimal:
    """`amount` with two decimals, halves to even: for figures this program computes, never for the API's own."""
    with localcontext(EXACT):
        return amount.quantize(CENT, rounding=ROUND_HALF_EVEN)


def percent(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part` as signed percent of |`whole`| with two decimals; None where the whole is zero."""
    if whole == 0:
        return None
    with localcontext(EXACT):
        return (100 * part / abs(whole)).quantize(CENT, rounding=ROUND_HALF_EVEN)


def plain(value: Decimal) -> str:
    """`value` in plain notation with the digits it came with: never an exponent, `-0` as `0`."""
    return format(value or abs(value), "f")
