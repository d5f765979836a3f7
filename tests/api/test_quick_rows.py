"""Ordinary rows are read quickly, and to the same positions as by the tolerant reading."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.loopback import ACCOUNT, position
from positions_mcp.api._quick import QuickRows
from positions_mcp.api._wire import read_record
from positions_mcp.domain.instructions import Instruction
from positions_mcp.domain.orders import Order
from positions_mcp.domain.positions import Position

OPTION = "b1b2b3b4-c1c2-d1d2-e1e2-e3e4e5e6e7e8"
FOUND = QuickRows.of(Position)
assert FOUND is not None
QUICK = FOUND

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12).map(
    lambda number: format(number, "f")
)
odd = st.sampled_from(
    ["", " 1", "1_0", "--1", "1-2", ".", "NaN", "Infinity", "1E+999999", "0E-99999", "9" * 41, "٣", "é", "\ud800"]
) | st.sampled_from([5, 1.5, True, [], {}, None])
identifiers = st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())
values: dict[str, st.SearchStrategy[Any]] = {
    name: numbers | st.none() for name in Position.model_fields if name.endswith(("_value", "_price", "_pnl", "_pct"))
} | {
    "instrument_type": st.sampled_from(["OPTION", "COMMON_STOCK", "BOND", None]),
    "closing_price_date": st.sampled_from(["2026-11-20", "2026-02-29", None]),
    "underlying_instrument_id": identifiers | st.none(),
    "settlement_cycle": st.sampled_from(["T0", None]),
}


@st.composite
def pages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with the same keys, of which some hold what is out of the ordinary."""
    names = draw(st.lists(st.sampled_from(list(values)), unique=True))
    rows = [
        {"account_id": ACCOUNT, "instrument_id": draw(identifiers), "quantity": draw(numbers), "symbol": "AAPL"}
        | {name: draw(values[name]) for name in names}
        for _ in range(draw(st.integers(1, 4)))
    ]
    for _ in range(draw(st.integers(0, 1))):
        row = draw(st.sampled_from(rows))
        row[draw(st.sampled_from(list(row)))] = draw(odd)
    return rows


@pytest.mark.requirement("A-01", "A-02")
@settings(max_examples=150, deadline=None)
@given(pages())
def test_what_is_read_quickly_is_what_the_tolerant_reading_makes_of_it(rows: list[dict[str, Any]]):
    read = QUICK.read(rows)
    if read is not None:
        tolerant = [read_record(Position, row) for row in rows]
        assert read == tolerant
        assert [each.model_dump_json() for each in read] == [each.model_dump_json() for each in tolerant]  # type: ignore[union-attr]
        assert [each.model_fields_set for each in read] == [each.model_fields_set for each in tolerant]  # type: ignore[union-attr]


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize("number", ["NaN", "1E+999999", "0E-99999", "1_0", "", "-", 1.5, True, "٣"])
def test_a_number_that_is_not_plain_is_left_to_the_tolerant_reading(number: object):
    assert QUICK.read([position(), position(market_value=number)]) is None


@pytest.mark.requirement("A-02")
def test_ordinary_rows_are_read_quickly_with_what_is_not_known_about_them():
    first, second = QUICK.read([position(settlement_cycle="T0"), position(settlement_cycle=None)]) or []
    assert (first.model_extra, second.model_extra) == ({"settlement_cycle": "T0"}, {"settlement_cycle": None})


def test_rows_with_different_keys_are_left_to_the_tolerant_reading():
    assert QUICK.read([position(), position(settlement_cycle="T0")]) is None
    assert QUICK.read([position(), "not an object"]) is None
    assert QUICK.read([]) is None


def test_a_changed_copy_does_not_change_what_the_other_positions_say_of_themselves():
    first, second = (
        QUICK.read([{"account_id": ACCOUNT, "instrument_id": f"i{n}", "quantity": "1"} for n in (1, 2)]) or []
    )
    copied = first.model_copy(update={"symbol": "AAPL"})
    assert "symbol" in copied.model_fields_set
    assert "symbol" not in second.model_fields_set


def test_a_kind_with_fields_of_its_own_is_not_read_quickly():
    assert QuickRows.of(Order) is None


@pytest.mark.requirement("A-02")
def test_identifiers_in_upper_case_are_read_as_the_same_identifiers():
    row = position(underlying_instrument_id=OPTION.upper())
    upper = row | {"instrument_id": row["instrument_id"].upper()}
    (quick,) = QUICK.read([upper]) or []
    assert quick == read_record(Position, upper)
    assert (quick.instrument_id, quick.underlying_instrument_id) == (row["instrument_id"], OPTION)
    order = Order(id=OPTION.upper(), account_id=ACCOUNT, status="NEW", client_order_id="Mine")
    assert (order.id, order.client_order_id) == (OPTION, "Mine")
    instruction = Instruction(
        id=OPTION.upper(), account_id=ACCOUNT, instruction_type="EXERCISE", status="SENT", instruction_id="Mine"
    )
    assert (instruction.id, instruction.instruction_id) == (OPTION, "Mine")
