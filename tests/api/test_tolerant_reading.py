"""What the API adds, renames or leaves out never fails a page, and nothing that came is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.loopback import AAPL, ACCOUNT, instruction, order, position
from positions_mcp.api._exchange import Answer
from positions_mcp.api._wire import RowReader, read_reply
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import InstructionStatus, OrderStatus, PositionType, SecurityType, TimeInForce
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.records import UnreadableRow

POSITIONS = RowReader(Position)
ORDERS = RowReader(Order)
INSTRUCTIONS = RowReader(Instruction)


def read(rows: object, reader: RowReader[Any] = POSITIONS) -> tuple[list[Any], list[UnreadableRow]]:
    """Read rows as they come over the wire: JSON text first."""
    body = rows if isinstance(rows, bytes) else json.dumps({"data": rows}).encode()
    data = read_reply(Answer(200, body, None, None)).data
    assert isinstance(data, list)
    return reader.read(data)


def only(row: object, reader: RowReader[Any] = POSITIONS) -> Any:
    records, unreadable = read([row], reader)
    assert unreadable == []
    (record,) = records
    return record


enum_values = st.sampled_from([*SecurityType, *PositionType]) | st.text(min_size=1, max_size=12)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15)
decimal_texts = decimals.map(str)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
AMOUNTS = [name for name, kind in get_type_hints(Position).items() if kind == Decimal | None]
FIELDS = [name for name in Position._fields if name != "extra"]
new_names = st.text(min_size=1, max_size=12).filter(lambda name: name not in FIELDS)
tolerable_rows = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries(
        {
            "account_id": st.just(ACCOUNT) | st.just(str(ACCOUNT)),
            "instrument_id": st.uuids().map(str),
            "quantity": decimal_texts | st.integers(-(10**12), 10**12),
        }
    ),
    st.dictionaries(st.sampled_from(AMOUNTS), decimal_texts | st.integers(-(10**12), 10**12) | st.none() | st.just("")),
    st.fixed_dictionaries(
        {},
        optional={
            "symbol": st.text(max_size=10) | st.none() | st.integers(),
            "instrument_type": enum_values | st.none() | st.integers(),
            "underlying_instrument_type": enum_values | st.none(),
            "position_type": enum_values | st.none(),
            "underlying_instrument_id": st.uuids().map(str) | st.none(),
            "closing_price_date": st.dates().map(str) | st.none(),
        },
    ),
    st.dictionaries(new_names, anything, max_size=3),
)


@pytest.mark.requirement("A-01", "A-02")
@settings(max_examples=50, deadline=None)
@given(st.lists(tolerable_rows, max_size=3))
def test_any_mixture_of_new_values_fields_and_nulls_is_read_and_nothing_is_lost(rows: list[dict[str, Any]]):
    records, unreadable = read(rows)
    assert unreadable == []
    assert len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        for name, sent in row.items():
            kept = getattr(record, name) if name in FIELDS else dict(record.extra)[name]
            if name in AMOUNTS or name == "quantity":
                assert kept == (None if sent in (None, "") else Decimal(sent))
                assert kept is None or str(kept) == str(Decimal(sent))
            elif name == "symbol":
                assert kept == ("" if sent is None else str(sent))
            elif sent is None or name not in FIELDS:
                assert kept == sent
            else:
                assert str(kept) == str(sent)


@pytest.mark.requirement("A-02")
@settings(max_examples=50, deadline=None)
@given(st.lists(anything | st.dictionaries(st.sampled_from(FIELDS), anything), max_size=6))
def test_every_row_is_either_read_or_reported_with_what_it_was(rows: list[Any]):
    records, unreadable = read(rows)
    assert len(records) + len(unreadable) == len(rows)
    assert all(rows[row.position] == row.raw and row.reason for row in unreadable)


@pytest.mark.requirement("A-02")
@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([name for name in Order.model_fields if name not in ("id", "account_id", "status")]), anything
    )
)
def test_no_optional_field_can_make_an_order_unreadable(fields: dict[str, Any]):
    sent = {"id": "o", "account_id": ACCOUNT, "status": "NEW", **fields}
    record = only(sent, ORDERS)
    assert record.status is OrderStatus.NEW
    left_out = (record.model_extra or {}).get("unreadable_fields", {})
    assert all(left_out[name] == sent[name] for name in left_out)
    for name, value in fields.items():
        assert getattr(record, name) is not None or name in left_out or value in (None, "")


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize(
    "written",
    ["0.1", "-0.30000000000000004", "123456789012345678901234567890.123456789", "1E+3", "1e-9", "-0", "100", "0.10"],
)
def test_decimals_are_exact_whether_they_come_as_text_or_as_numbers(written: str):
    text = only(position(market_value=written))
    number, _ = read(b'{"data": [%s]}' % json.dumps(position(market_value="@")).replace('"@"', written).encode())
    assert str(text.market_value) == str(Decimal(written))
    assert number[0].market_value == Decimal(written)


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize(
    "nonsense", ["NaN", "Infinity", "-inf", "1e999999999", "1E-5000", "0e99999", "twelve", True, [1], {}]
)
def test_a_number_that_makes_no_sense_is_missing_but_kept_and_a_quantity_is_reported(nonsense: Any):
    record = only(position(market_value=nonsense))
    assert record.market_value is None
    assert record.extra == (("unreadable_fields", {"market_value": nonsense}),)
    records, (unreadable,) = read([position(), position(quantity=nonsense), position()])
    assert len(records) == 2
    assert unreadable.position == 1
    assert unreadable.reason.startswith("quantity: ")
    assert unreadable.raw == position(quantity=nonsense)


@pytest.mark.requirement("A-02")
def test_one_odd_row_does_not_change_how_the_others_are_read():
    rows = [position(), position(symbol=None, market_value=""), position(position_type="HEDGED"), 7]
    records, unreadable = read(rows)
    assert [record.symbol for record in records] == ["AAPL", "", "AAPL"]
    assert (records[1].market_value, records[2].position_type) == (None, "HEDGED")
    assert not records[2].position_type.is_known
    assert [(row.position, row.reason) for row in unreadable] == [(3, "not an object")]


@pytest.mark.parametrize(
    ("dialect", "kind", "right"),
    [("LONG_CALL", PositionType.LONG_CALL, "CALL"), ("LONG", PositionType.LONG, "CALL")],
)
def test_the_option_right_comes_from_the_symbol_in_either_dialect(dialect: str, kind: PositionType, right: str):
    record = only(position(position_type=dialect, symbol="AAPL250117C00190000", instrument_type="OPTION"))
    assert record.position_type is kind
    assert record.contract.right == right


def test_a_multi_leg_order_without_an_instrument_is_read():
    record = only(
        order(
            instrument_id=None, symbol=None, instrument_type=None, strategy={"type": "VERTICAL"}, legs=[{"ratio": 1}]
        ),
        ORDERS,
    )
    assert (record.instrument_id, record.symbol, record.legs) == (None, None, [{"ratio": 1}])


def test_times_may_have_nine_digits_an_offset_or_no_zone():
    for written, read_as in [
        ("2026-11-20T15:00:00.123456789Z", datetime(2026, 11, 20, 15, 0, 0, 123456, UTC)),
        ("2026-11-20T10:00:00-05:00", datetime(2026, 11, 20, 15, tzinfo=UTC)),
        ("2026-11-20T15:00:00", datetime(2026, 11, 20, 15, tzinfo=UTC)),
    ]:
        assert only(order(created_at=written), ORDERS).created_at == read_as


@pytest.mark.requirement("A-02")
def test_renamed_values_keep_their_meaning():
    assert only(instruction(status="ENGINE_REJECTED"), INSTRUCTIONS).status.is_rejected
    assert only(instruction(status="REJECTED"), INSTRUCTIONS).status.is_rejected
    assert only(order(time_in_force="AT_OPEN"), ORDERS).time_in_force is TimeInForce.AT_OPEN
    assert only(order(time_in_force="AT_THE_OPENING"), ORDERS).time_in_force is TimeInForce.AT_THE_OPENING
    assert only(order(status="CANCELED"), ORDERS).status is OrderStatus.CANCELED
    assert only(instruction(status="CANCELLED"), INSTRUCTIONS).status is InstructionStatus.CANCELLED


@pytest.mark.parametrize(
    "names",
    [
        {"instruction_id": "k"},
        {"client_instruction_id": "k"},
        {"instruction_id": "server", "client_instruction_id": "k"},
        {"instruction_id": "k", "client_instruction_id": None},
    ],
)
def test_the_callers_key_is_read_under_either_name(names: dict[str, str]):
    row = {key: value for key, value in instruction().items() if key != "instruction_id"}
    assert only({**row, **names}, INSTRUCTIONS).instruction_id == "k"


@pytest.mark.requirement("A-02")
def test_a_rejection_with_null_fields_still_names_the_original():
    rejection = {"reason": None, "domain": None, "metadata": {"existing_id": AAPL}}
    assert only(instruction(rejection=rejection), INSTRUCTIONS).duplicate_of == AAPL


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ({"code": 400, "message": "m", "details": [{"a": 1}]}, 400, "m"),
        ({"error": {"code": "BAD", "message": "m"}, "metadata": {}}, "BAD", "m"),
        ({"error": {"code": None, "message": None, "details": "x"}, "data": None}, None, ""),
        ({"error": "Forbidden", "status": 403}, None, "Forbidden"),
        ({"error": "Forbidden", "message": "not yours", "code": 7}, 7, "not yours"),
        ({"error": {"code": {"a": 1}, "message": ["m"]}}, None, ""),
    ],
)
def test_both_error_shapes_and_their_odd_cousins_are_read(document: dict[str, Any], code: object, message: str):
    problem = read_reply(Answer(400, json.dumps(document).encode(), None, None)).error
    assert problem is not None
    assert (problem.code, problem.message) == (code, message)


def test_metadata_that_makes_no_sense_is_left_out_field_by_field():
    document = {
        "data": [],
        "metadata": {"request_id": 17, "total_items": "many", "page_number": "2", "next_page_token": None},
    }
    metadata = read_reply(Answer(200, json.dumps(document).encode(), "header-id", None)).metadata
    assert (metadata.request_id, metadata.total_items, metadata.page_number) == ("17", None, 2)
    assert read_reply(Answer(200, b'{"data": []}', "header-id", None)).metadata.request_id == "header-id"


def test_every_record_keeps_what_it_does_not_know():
    record = only(position(unreadable_fields="theirs", side="LONG", contract=1))
    assert dict(record.extra) == {"unreadable_fields": "theirs", "side": "LONG", "contract": 1}
    both = only(position(unreadable_fields="theirs", market_value="?", avg_price="?"))
    assert dict(both.extra) == {
        "unreadable_fields": {"unreadable_fields": "theirs", "market_value": "?", "avg_price": "?"}
    }


def test_a_field_of_the_apis_that_is_called_as_what_is_left_out_loses_nothing():
    record = only(position(unreadable_fields={"avg_price": "theirs"}, avg_price="?"))
    assert dict(record.extra) == {
        "unreadable_fields": {"unreadable_fields": {"avg_price": "theirs"}, "avg_price": "?"},
    }


@pytest.mark.requirement("A-01", "A-02")
@pytest.mark.parametrize(
    "number", ["1E+999999999", "1e9999999999999999999", "1" * 5000, "-1e-999999999999", "0E+999999999"]
)
@pytest.mark.parametrize("place", ["market_value", "settlement"])
def test_a_number_beyond_any_sense_is_kept_as_text_and_costs_nothing_else(place: str, number: str):
    body = json.dumps({"data": [position(**{place: "@"})], "metadata": {}}).replace('"@"', number).encode()
    (record,), unreadable = read(body)
    assert not unreadable
    kept = dict(record.extra)
    assert (kept["unreadable_fields"] if place == "market_value" else kept)[place] == number
    if place == "market_value":
        assert record.market_value is None


@pytest.mark.requirement("A-02")
def test_a_number_too_long_to_be_added_exactly_is_left_out():
    written = f"1.{'0' * 190}1"
    record = only(position(market_value=written))
    assert (record.market_value, dict(record.extra)) == (None, {"unreadable_fields": {"market_value": written}})


@pytest.mark.requirement("A-02")
def test_empty_text_is_no_identifier_no_type_and_no_value():
    empty = dict.fromkeys(["underlying_instrument_id", "instrument_type", "market_value", "closing_price_date"], "")
    record = only(position(**empty))
    assert {getattr(record, name) for name in empty} == {None}
    records, (unreadable,) = read([position(), position(instrument_id="")])
    assert len(records) == 1
    assert "no instrument_id" in unreadable.reason


@pytest.mark.requirement("A-02", "A-06")
def test_metadata_that_cannot_be_read_never_look_like_the_end_of_a_listing():
    odd = {"next_page_token": "a", "total_items": 2, "\ud800": 1}
    reply = read_reply(Answer(200, json.dumps({"data": [], "metadata": odd}).encode(), None, None))
    assert (reply.metadata.next_page_token, reply.metadata.total_items, reply.flaw) == ("a", 2, None)
    for wrong in (["a"], "a", 5):
        assert read_reply(Answer(200, json.dumps({"data": [], "metadata": wrong}).encode(), None, None)).flaw
