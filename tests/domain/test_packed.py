"""Packed positions are what they were, exactly, in little memory."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from positions_mcp.domain.account.packed import PackedPositions
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import PositionType, SecurityType
from tools.serving import held

UPPER = "A1A2A3A4-B1B2-C1C2-D1D2-E1E2E3E4E5E6"
AWKWARD = [
    held(""),
    held("BRK.B", "-0.000000001", 1, market_value="12345678901234567890.123456789", unrealized_pnl="-0"),
    held(
        "QAAA  281121C00195000", "5", 2, instrument_type="OPTION", closing_price_date="2026-11-19", closing_price="1E+3"
    ),
    held("Ünï\u202e", "1", 3, instrument_type="OF_TOMORROW", position_type="long", underlying_instrument_type=""),
    held(
        "AAPL",
        "1.50",
        4,
        avg_price="0",
        daily_realized_pnl="0.00",
        underlying_instrument_id="A1A2A3A4-B1B2-C1C2-D1D2-E1E2E3E4E5E6",
    ),
]
MANY = [held(f"S{number}", str(number + 1), number, market_value=f"{number}.25") for number in range(601)]


def told(position: object) -> list[tuple[type, str]]:
    """All fields with their types, numbers digit for digit."""
    assert isinstance(position, Position)
    return [(type(value), str(value)) for value in position._replace(extra=())]


@pytest.mark.parametrize("positions", [AWKWARD, MANY, MANY[:250], MANY[:1], []])
def test_every_row_comes_back_digit_for_digit_and_in_order(positions: list[Position]) -> None:
    packed = PackedPositions(positions)
    assert len(packed) == len(positions)
    assert list(map(told, packed)) == list(map(told, positions))


@pytest.mark.parametrize(("start", "stop"), list(product([0, 1, 249, 250, 251, 599], [0, 250, 252, 600, 601, 700])))
def test_a_page_of_them_is_the_same_page(start: int, stop: int) -> None:
    packed = PackedPositions(MANY)
    assert list(map(told, packed[start:stop])) == list(map(told, MANY[start:stop]))


def test_one_of_them_is_the_same_one() -> None:
    packed = PackedPositions(MANY)
    for index in (0, 250, 600, -1):
        assert told(packed[index]) == told(MANY[index])
    with pytest.raises(IndexError):
        packed[601]


def test_they_take_a_tenth_of_what_they_took() -> None:
    assert PackedPositions(MANY).size < 150 * len(MANY)


def test_what_the_api_says_that_this_program_does_not_know_stays_known_as_such() -> None:
    (back,) = PackedPositions([AWKWARD[3]])
    assert back.instrument_type == SecurityType("OF_TOMORROW")
    assert back.position_type is PositionType.LONG
    assert back.quantity == Decimal(1)
