"""Totals of positions whose quantity has another sign than their type says: counted as short, and how many."""

from __future__ import annotations

from decimal import Decimal

import pytest

from guard.exchange import held
from positions_mcp.domain.enums import PositionType
from positions_mcp.domain.portfolio.totals import Totals


@pytest.mark.parametrize(
    ("quantity", "kind", "is_long", "contradicting"),
    [
        (50, "LONG", True, 0),
        (50, None, True, 0),
        (50, "UNHEARD_OF", True, 0),
        (-50, "SHORT", False, 0),
        (50, "SHORT", False, 1),
        (-50, "LONG", False, 1),
        (50, "SHORT_CALL", False, 1),
        (-50, "LONG_PUT", False, 1),
        (50, "SHORT_EXEMPT", False, 1),
    ],
)
def test_what_contradicts_itself_is_counted_as_short(
    quantity: int, kind: str | None, is_long: bool, contradicting: int
) -> None:
    row = held("TSLA", quantity, number=1, position_type=kind and PositionType(kind))
    totals = Totals.merged([Totals.of([row, held("KO", 1, number=2)])])
    assert totals.long.amount == Decimal(10 + 10 * quantity * is_long)
    assert totals.short.amount == Decimal(10 * quantity * (not is_long))
    assert totals.contradicting == contradicting
