"""What a position is, and which way it is held, also where the API contradicts itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.books import POSITIONS
from positions_mcp.domain.account.positions import Position, Side

AAPL = "a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8"


def held(quantity: str = "100", **fields: object) -> Position:
    row = {"account_id": 19816, "instrument_id": AAPL, "symbol": "TSLA", "quantity": quantity}
    return POSITIONS.validate_python(row | fields)


@pytest.mark.parametrize(
    ("quantity", "kind"),
    [
        ("50", "SHORT"),
        ("-50", "LONG"),
        ("5", "SHORT_CALL"),
        ("5", "SHORT_PUT"),
        ("-5", "LONG_CALL"),
        ("-5", "LONG_PUT"),
        ("0.000001", "SHORT"),
        ("50", "SHORT_STRADDLE"),
        ("50", "short"),
    ],
)
def test_a_sign_against_the_type_contradicts_and_counts_as_short(quantity: str, kind: str):
    position = held(quantity, position_type=kind)
    assert position.side_contradicts
    assert position.side is Side.SHORT
    assert position.counted_quantity == -abs(Decimal(quantity))


@pytest.mark.parametrize(
    ("quantity", "kind", "side"),
    [
        ("50", "LONG", Side.LONG),
        ("-50", "SHORT", Side.SHORT),
        ("5", "LONG_CALL", Side.LONG),
        ("-5", "SHORT_PUT", Side.SHORT),
        ("0", "SHORT", Side.FLAT),
        ("0", "LONG", Side.FLAT),
        ("50", None, Side.LONG),
        ("-50", "BOXED", Side.SHORT),
    ],
)
def test_a_sign_that_agrees_or_is_not_gainsaid_is_the_side(quantity: str, kind: str | None, side: Side):
    position = held(quantity, position_type=kind)
    assert not position.side_contradicts
    assert position.side is side
    assert position.counted_quantity == Decimal(quantity)


@pytest.mark.parametrize(
    ("symbol", "kind", "is_cash", "is_closable"),
    [
        ("USD", "CASH", True, False),
        ("EUR", "CASH", True, False),
        ("SPX", "INDEX", False, False),
        ("SPXW  261127P05000000", "INDEX", False, True),
        ("SPXW  261127P05000000", "OPTION", False, True),
        ("KO", "COMMON_STOCK", False, True),
        ("CASH", "COMMON_STOCK", False, True),
        ("USD", None, False, True),
        ("KO", "WARRANT", False, True),
    ],
)
def test_cash_and_an_index_are_recognised_and_cannot_be_closed(
    symbol: str, kind: str | None, is_cash: bool, is_closable: bool
):
    position = held(symbol=symbol, instrument_type=kind)
    assert (position.is_cash, position.is_closable) == (is_cash, is_closable)
