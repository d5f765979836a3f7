"""Money is exact."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions_mcp.domain.money import exact_product, exact_sum, percent, plain, to_cents

amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=9)


@pytest.mark.requirement("A-01")
@given(st.lists(amounts, max_size=50))
def test_a_sum_is_what_fractions_say(values: list[Decimal]) -> None:
    assert Fraction(exact_sum(values)) == sum(map(Fraction, values), Fraction(0))


@pytest.mark.requirement("A-01")
@given(amounts, amounts)
def test_a_product_is_what_fractions_say(one: Decimal, other: Decimal) -> None:
    assert Fraction(exact_product(one, other, 100)) == Fraction(one) * Fraction(other) * 100


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize(
    "text", ["15050.00", "0.1000000000000000000000000001", "-9000", "0.00", "1234567890123456789.99"]
)
def test_a_number_is_shown_with_the_digits_it_came_with(text: str) -> None:
    assert plain(Decimal(text)) == text


@pytest.mark.parametrize(("value", "shown"), [("1E+3", "1000"), ("-0", "0"), ("-0.00", "0.00"), ("1E-7", "0.0000001")])
def test_a_number_is_never_shown_with_an_exponent_or_a_negative_zero(value: str, shown: str) -> None:
    assert plain(Decimal(value)) == shown


def test_cents_round_halves_to_even_and_percent_has_no_answer_for_nothing() -> None:
    assert [to_cents(Decimal(text)) for text in ("0.125", "0.135")] == [Decimal("0.12"), Decimal("0.14")]
    assert percent(Decimal(1), Decimal(-3)) == Decimal("33.33")
    assert percent(Decimal(1), Decimal(0)) is None
