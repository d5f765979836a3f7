"""Ordinary pages are read quickly, and to the same positions as by the tolerant reading."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.loopback import ACCOUNT, data, position, serving
from positions_mcp.api._exchange import Answer
from positions_mcp.api._ordinary import OrdinaryPositions, read_holdings
from positions_mcp.api._wire import RowReader, read_ordinary_page, read_record, read_reply
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.exercise.instructions import Instruction

OPTION = "b1b2b3b4-c1c2-d1d2-e1e2-e3e4e5e6e7e8"

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12).map(
    lambda number: format(number, "f")
)
odd = st.sampled_from(
    [
        "",
        " 1",
        "1_0",
        "--1",
        "1-2",
        ".",
        "NaN",
        "-sNaN",
        "Infinity",
        "1E+999999",
        "0E-99999",
        "0E+99999",
        "9" * 41,
        f"1.{'0' * 190}1",
    ]
) | st.sampled_from(["٣", "é", "É", "\ud800", 5, 1.5, 10**30, True, [], {}, None, {"a": 1.10}])
identifiers = st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())
missing = st.sampled_from([None, ""])
amounts = [name for name in Position._fields if name.endswith(("_value", "_price", "_pnl", "_pct"))]
values: dict[str, st.SearchStrategy[Any]] = {name: numbers | st.none() for name in amounts} | {
    "instrument_type": st.sampled_from(["OPTION", "COMMON_STOCK", "BOND", None, ""]),
    "closing_price_date": st.sampled_from(["2026-11-20", "2026-02-29", None]),
    "underlying_instrument_id": identifiers | missing,
    "settlement_cycle": st.sampled_from(["T0", None]),
    "margin_rate": st.sampled_from([0.25, 1, "1.50", {"a": [0.1]}, None]),
    "extra": st.sampled_from(["theirs", None]),
}


def body_of(rows: object, *, spaced: bool = False, **envelope: Any) -> bytes:
    """A page, as compact as the API writes it or not."""
    document = {"data": rows, "error": None, "metadata": {"total_items": 1}, **envelope}
    return json.dumps(document, separators=None if spaced else (",", ":")).encode()


def quickly(rows: object, *, spaced: bool = False) -> list[Position] | None:
    """What a page with these rows is read as where it is ordinary; None where it is not."""
    page = read_ordinary_page(Answer(200, body_of(rows, spaced=spaced), None, None))
    return OrdinaryPositions().read(page[1]) if page else None


def in_brief(rows: object) -> list[Holding] | None:
    page = read_ordinary_page(Answer(200, body_of(rows), None, None))
    return read_holdings(page[1]) if page else None


def tolerantly(rows: list[Any]) -> list[Position]:
    raw = read_reply(Answer(200, body_of(rows), None, None)).data
    assert isinstance(raw, list)
    records, unreadable = RowReader(Position).read(raw)
    assert not unreadable
    return records


@st.composite
def pages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with much the same keys, of which some hold what is out of the ordinary."""
    names = draw(st.lists(st.sampled_from(list(values)), unique=True))
    rows = [
        {"account_id": ACCOUNT, "instrument_id": draw(identifiers), "quantity": draw(numbers), "symbol": "AAPL"}
        | {name: draw(values[name]) for name in names if draw(st.integers(0, 9))}
        for _ in range(draw(st.integers(1, 4)))
    ]
    for _ in range(draw(st.integers(0, 1))):
        row = draw(st.sampled_from(rows))
        row[draw(st.sampled_from(list(row)))] = draw(odd)
    return rows


@pytest.mark.requirement("A-01", "A-02")
@settings(max_examples=300, deadline=None)
@given(pages())
def test_what_is_read_quickly_is_what_the_tolerant_reading_makes_of_it(rows: list[dict[str, Any]]):
    read = quickly(rows)
    assert read == quickly(rows, spaced=True)
    if read is not None:
        tolerant = tolerantly(rows)
        # Text tells 1.0 from 1.00, and one type from another.
        assert list(map(str, read)) == list(map(str, tolerant))


@pytest.mark.requirement("A-01", "A-02")
@settings(max_examples=300, deadline=None)
@given(pages())
def test_what_is_read_in_brief_is_what_the_tolerant_reading_makes_of_it(rows: list[dict[str, Any]]):
    read = in_brief(rows)
    if read is not None:
        tolerant = tolerantly(rows)
        for name in Holding.FIELDS:
            assert [str(getattr(each, name)) for each in read] == [str(getattr(each, name)) for each in tolerant]
        for name in ("contract", "is_option", "side", "multiplier", "locked_quantity", "name"):
            assert [getattr(each, name) for each in read] == [getattr(each, name) for each in tolerant]


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "sNaN", "1E+999999", "0E-99999", "0E+99999", "-", "", True])
def test_a_number_that_makes_no_sense_is_left_to_the_tolerant_reading(number: object):
    rows = [position(), position(market_value=number)]
    assert quickly(rows) is None
    assert in_brief(rows) is None


@pytest.mark.requirement("A-01")
def test_numbers_are_exact_whether_documented_or_not():
    body = body_of([position(market_value="@", margin_rate="@")]).replace(b'"@"', b"0.30000000000000004123")
    page = read_ordinary_page(Answer(200, body, None, None))
    assert page
    (read,) = OrdinaryPositions().read(page[1]) or []
    assert read.market_value == Decimal("0.30000000000000004123")
    assert read.extra == (("margin_rate", Decimal("0.30000000000000004123")),)


@pytest.mark.requirement("A-02")
def test_a_page_with_new_fields_and_values_is_still_ordinary_and_keeps_them():
    rows = [position(settlement_cycle="T0", instrument_type="BOND"), position(tax="x"), position()]
    first, second, third = quickly(rows) or []
    assert (first.extra, second.extra, third.extra) == ((("settlement_cycle", "T0"),), (("tax", "x"),), ())
    assert first.instrument_type == "BOND"
    assert isinstance(first.instrument_type, SecurityType)
    assert not first.instrument_type.is_known


@pytest.mark.requirement("A-02")
def test_a_field_that_nothing_can_be_called_does_not_slow_down_other_pages():
    reader = OrdinaryPositions()
    for name, is_ordinary in (('a"b', False), ("a\\b", False), ("\x01", False), ("tax", True)):
        page = read_ordinary_page(Answer(200, body_of([position(**{name: "x"})]), None, None))
        assert page
        assert (reader.read(page[1]) is not None) is is_ordinary


@pytest.mark.requirement("A-02")
def test_a_field_that_comes_later_is_learned_beside_those_known_to_come():
    reader = OrdinaryPositions()
    for sent in ({"one": 1}, {"two": 2}, {"one": 3, "two": 4}, {}):
        page = read_ordinary_page(Answer(200, body_of([position(**sent)]), None, None))
        assert page
        (read,) = reader.read(page[1]) or []
        assert dict(read.extra) == sent


def test_what_is_no_page_of_rows_is_left_to_the_tolerant_reading():
    assert quickly([position(), "not an object"]) is None
    assert quickly([]) is None
    assert quickly({"rows": []}) is None
    hidden = b'{"data":[{"x":{"data":[],"error":null,"metadata":{}}}],"more":1,"error":{"code":1},"metadata":{}}'
    assert read_ordinary_page(Answer(200, hidden, None, None)) is None
    for body in (b"", b"[]", b"null", b'{"data": [', b'{"data": [NaN]}', b'{"message": "no"}', b"\xff"):
        assert read_ordinary_page(Answer(200, body, None, None)) is None
    assert read_ordinary_page(Answer(200, body_of([position()], error={"code": 1}), None, None)) is None
    assert read_ordinary_page(Answer(200, body_of([position()], metadata={"next_page_token": 5}), None, None))
    assert read_ordinary_page(Answer(200, body_of([position()], metadata={"next_page_token": {}}), None, None)) is None
    assert read_ordinary_page(Answer(500, body_of([position()]), None, None)) is None


@pytest.mark.requirement("A-02", "A-06")
async def test_a_listing_reads_one_odd_page_among_ordinary_ones():
    def row(number: int, **fields: Any) -> dict[str, Any]:
        return position(instrument_id=f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}", **fields)

    async with (
        serving(
            data([row(1), row(2, symbol=None)], next_page_token="Mg==", total_items=4),
            data([row(3, market_value="?"), row(4)], total_items=4),
        ) as server,
        server.client() as client,
    ):
        book = await client.read_book(ACCOUNT)
    assert [held.symbol for held in book.positions] == ["AAPL", "", "AAPL", "AAPL"]
    assert book.positions[2].extra == (("unreadable_fields", {"market_value": "?"}),)
    assert book.is_complete


@pytest.mark.requirement("A-02")
def test_identifiers_in_upper_case_are_read_as_the_same_identifiers():
    row = position(underlying_instrument_id=OPTION.upper())
    upper = row | {"instrument_id": row["instrument_id"].upper()}
    (quick,) = quickly([upper]) or []
    assert quick == read_record(Position, upper)
    assert (quick.instrument_id, quick.underlying_instrument_id) == (row["instrument_id"], OPTION)
    order = Order(id=OPTION.upper(), account_id=ACCOUNT, status="NEW", client_order_id="Mine")
    assert (order.id, order.client_order_id) == (OPTION, "Mine")
    instruction = Instruction(
        id=OPTION.upper(), account_id=ACCOUNT, instruction_type="EXERCISE", status="SENT", instruction_id="Mine"
    )
    assert (instruction.id, instruction.instruction_id) == (OPTION, "Mine")
