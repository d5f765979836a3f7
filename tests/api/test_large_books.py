"""A large book, whose positions are decoded as they are looked at, is the book that it would be decoded at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.loopback import AAPL, ACCOUNT, data, position, serving
from api.test_ordinary_pages import body_of, pages, tolerantly
from positions_mcp.api._deferred import DeferredPositions
from positions_mcp.api._http import Answer
from positions_mcp.api._ordinary import OrdinaryPositions
from positions_mcp.api._wire import read_ordinary_page
from positions_mcp.domain.account.positions import Book, Position

LONG = position(instrument_id=str(UUID(int=1)), note="x" * 2**17)
"""A row that makes its page a large one."""


def deferred(rows: list[dict[str, Any]]) -> list[Position] | None:
    """What follows the long row of a page; None where the page is not ordinary."""
    page = read_ordinary_page(Answer(200, body_of([LONG, *rows]), None, None))
    read = DeferredPositions(OrdinaryPositions()).read(page[1]) if page else None
    return None if read is None else read[1:]


@pytest.mark.requirement("A-01", "A-02")
@settings(max_examples=300, deadline=None)
@given(pages(), st.booleans())
def test_what_is_decoded_later_is_what_the_tolerant_reading_makes_of_it(rows: list[dict[str, Any]], all_of_it: bool):
    others = [position(instrument_id=str(UUID(int=number))) for number in range(2, 12)] if all_of_it else []
    read = deferred([*others, *rows])
    if read is not None:
        assert all(each.market_value for each in read[: len(others)])
        read, tolerant = read[len(others) :], tolerantly(rows)
        for name in (*Position._fields, "contract", "is_option", "side", "multiplier", "locked_quantity", "name"):
            assert [str(getattr(each, name)) for each in read] == [str(getattr(each, name)) for each in tolerant]
        assert (read, tolerant) == (tolerant, read)


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize("odd", ["?", "NaN", "1E+999999", [], {"a": 1}, True])
def test_a_field_that_makes_no_sense_is_unreadable_in_its_own_row_alone(odd: object):
    first, second = deferred([position(market_value=odd), position(instrument_id=str(UUID(int=2)))]) or []
    assert (first.market_value, dict(first.extra)) == (None, {"unreadable_fields": {"market_value": odd}})
    assert (str(second.market_value), second.extra) == ("15050.00", ())


@pytest.mark.requirement("A-01")
def test_a_row_that_cannot_be_decoded_later_says_no_more_than_what_was_decoded_at_once():
    values = set()
    for depth in range(600, 1000, 5):  # about where what can still be skipped cannot be decoded any more
        body = body_of([LONG, position(note="@")]).replace(b'"@"', b"[" * depth + b"]" * depth)
        page = read_ordinary_page(Answer(200, body, None, None))
        assert page
        for read in (DeferredPositions(OrdinaryPositions()).read(page[1]) or [])[1:]:
            assert (read.instrument_id, read.quantity, read.symbol) == (AAPL, 100, "AAPL")
            values.add(None if read.market_value is None else str(read.market_value))
    assert values <= {None, "15050.00"}
    assert None in values


@pytest.mark.requirement("A-02", "A-06")
@pytest.mark.parametrize(
    "odd",
    [
        position(quantity="NaN"),
        position(quantity=None),
        position(quantity="many"),
        position(account_id=ACCOUNT + 1),
        position(instrument_id=""),
        position(instrument_id=None),
        "no object",
    ],
)
async def test_a_large_book_knows_from_the_beginning_that_a_row_cannot_be_read(odd: object):
    async with serving(data([LONG, odd], total_items=2)) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    assert len(book.positions) == 1
    assert not book.is_complete


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize(
    ("again", "is_consistent"),
    [({}, True), ({"market_value": "1"}, True), ({"available_quantity": "1"}, False), ({"quantity": "1"}, False)],
)
async def test_a_holding_that_comes_twice_is_compared_by_what_may_not_differ(
    again: dict[str, object], is_consistent: bool
):
    twice = position(**again)
    listing = [data([LONG, position()], next_page_token="Mg==", total_items=3), data([twice, _other()], total_items=3)]
    async with serving(*listing, *listing) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    assert [each.market_value for each in book.positions if each.instrument_id == AAPL] == [15050]
    assert (len(book.positions), book.consistent) == (3, is_consistent)
    assert list(book.by_id.items()) == [(each.instrument_id, each) for each in book.positions]


def _other() -> dict[str, object]:
    return position(instrument_id=str(UUID(int=2)), note="x" * 2**17)


@pytest.mark.requirement("A-02")
async def test_a_large_book_finds_what_a_small_one_finds():
    rows = [LONG, position(), position(instrument_id=str(UUID(int=3)), symbol="AAPL  280121C00195000", quantity="-2")]
    async with serving(data(rows, total_items=3)) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
        small = Book(account_id=book.account_id, positions=tuple(tolerantly(rows)), as_of=book.as_of)
    assert book == small
    assert set(book.positions) == set(small.positions)
    assert (book.options, book.short_options, book.by_root) == (small.options, small.short_options, small.by_root)
    assert book.namesakes(book.positions[1]) == small.namesakes(small.positions[1]) != []
