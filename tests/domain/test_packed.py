"""Packed rows are what they were, exactly, in little memory."""

from __future__ import annotations

from itertools import product

import pytest

from positions_mcp.domain.account.listings import AT_A_TIME, PackedRows

AWKWARD = [
    ["", "-0.00", "1E+3"],
    ["BRK.B", "12345678901234567890.123456789", 'a "quoted", cell'],
    ["Ünï\u202e", "\n", "\x00"],
]
MANY = [[f"S{number}", str(number + 1), f"{number}.25", "missing", "12.50", "-3.10"] for number in range(601)]


@pytest.mark.parametrize("rows", [AWKWARD, MANY, MANY[:AT_A_TIME], MANY[:1], []])
def test_every_row_comes_back_cell_for_cell_and_in_order(rows: list[list[str]]) -> None:
    packed = PackedRows.of(rows)
    assert len(packed) == len(rows)
    assert list(packed) == rows


@pytest.mark.parametrize(("start", "stop"), list(product([0, 1, 249, 250, 251, 599], [0, 250, 252, 600, 601, 700])))
def test_a_page_of_them_is_the_same_page(start: int, stop: int) -> None:
    assert list(PackedRows.of(MANY)[start:stop]) == MANY[start:stop]


def test_one_of_them_is_the_same_one() -> None:
    packed = PackedRows.of(MANY)
    for index in (0, 250, 600, -1):
        assert packed[index] == MANY[index]
    with pytest.raises(IndexError):
        packed[601]


def test_they_take_little() -> None:
    assert PackedRows.of(MANY).size < 20 * len(MANY)
