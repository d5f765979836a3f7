"""Exact decimals: amounts, prices and quantities are `Decimal` from the wire to the answer, never float."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

ZERO = Decimal(0)
CENT = Decimal("0.01")

LARGEST_MAGNITUDE = 60
"""Powers of ten beyond which a number is nonsense here, and dangerous: written out it would fill the memory."""
MOST_DIGITS = 3 * LARGEST_MAGNITUDE
"""Of a sensible number."""

EXACT = Context(prec=6 * LARGEST_MAGNITUDE)
"""Wide enough that sums and products of sensible decimals never round."""


def is_sensible(number: Decimal) -> bool:
    """Whether it is finite, neither huge nor tiny, and short enough to be added and multiplied exactly."""
    return (
        number.is_finite()
        and -LARGEST_MAGNITUDE < number.adjusted() < LARGEST_MAGNITUDE
        and len(number.as_tuple().digits) <= MOST_DIGITS
    )


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


def dollars(amount: Decimal) -> str:
    """`1,250` or `1,250.50`: cents only where there are any."""
    return f"{amount:,.2f}".removesuffix(".00") if amount else "0"
