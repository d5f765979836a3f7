"""A large book, whose positions are decoded as they are looked at, is the book that it would be decoded at once."""

from __future__ import annotations

import copy
import pickle
import sys
from itertools import chain
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.loopback import AAPL, ACCOUNT, data, position, serving
from api.test_ordinary_pages import body_of, pages, tolerantly
from positions_mcp.api import _deferred
from positions_mcp.api._deferred import DeferredPositions
from positions_mcp.api._exchange import Answer
from positions_mcp.api._ordinary import OrdinaryPositions, Rows
from positions_mcp.api._wire import read_ordinary_page, read_record, read_reply
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
    if sys.version_info < (3, 12):  # since then the depth of Python's own calls is counted by itself
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


_SYMBOLS = [
    "AAPL",
    "aapl",
    "BRK.B",
    "",
    " AAPL  280121C00195000",
    "AAPL280121C00195000",
    '"],"error":null,"metadata":{"x":"',
    "\u00e4\n",
]
_changing: dict[str, st.SearchStrategy[Any]] = {
    "quantity": st.sampled_from(["100", "-2", "0", "1E2", 7, None, "many"]),
    "available_quantity": st.sampled_from(["100", "1", "?", None]),
    "symbol": st.sampled_from(_SYMBOLS),
    "position_type": st.sampled_from(["LONG", "SHORT", "NEW", None, ""]),
    "instrument_type": st.sampled_from(["OPTION", "COMMON_STOCK", "CASH", "INDEX", "NEW", None]),
    "account_id": st.sampled_from([ACCOUNT, ACCOUNT + 1]),
    "market_value": st.sampled_from(["1", "1.00", "9" * 60, "?", 2, None]),
    "page": st.sampled_from([1, [1.10]]),
    "_whole": st.just({"a": "b"}),
}


@st.composite
def listings(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Pages of a large book: rows that come twice, are of others or cannot be read, in any order of their fields."""
    listed = []
    for page in range(draw(st.integers(1, 3))):
        rows = [position(instrument_id=str(UUID(int=100 + page)))]
        for _ in range(draw(st.integers(0, 12))):
            names = draw(st.lists(st.sampled_from(list(_changing)), unique=True, max_size=3))
            row = position(instrument_id=str(UUID(int=draw(st.integers(1, 20)))))
            row |= {name: draw(_changing[name]) for name in names}
            rows.append(dict(draw(st.permutations(list(row.items())))) if names else row)
        listed.append(rows)
    return listed


@pytest.mark.requirement("A-01", "A-02", "A-06")
@settings(max_examples=40, deadline=None)
@given(listings(), st.booleans())
async def test_a_large_book_is_the_book_that_a_walk_through_its_rows_makes(
    listed: list[list[dict[str, Any]]], backwards: bool
):
    for rows in listed:
        rows[0]["note"] = LONG["note"]
    held, unreadable, of_others, consistent = _walked(listed)
    count = len(held) + unreadable + of_others
    pages = [
        data(rows, total_items=count, **({"next_page_token": f"{number:04d}"} if number < len(listed) else {}))
        for number, rows in enumerate(listed, 1)
    ]
    async with serving(*pages, *pages) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    whole = Book(account_id=book.account_id, positions=tuple(held.values()), as_of=book.as_of)
    looked_at = list(zip(book.positions, whole.positions, strict=True))
    for each, other in reversed(looked_at) if backwards else looked_at:
        assert (repr(each), [*each]) == (repr(other), [*other])
        assert [*map(repr, book.namesakes(each))] == [*map(repr, whole.namesakes(other))]
    assert (book.unreadable, book.of_others, book.consistent) == (unreadable, of_others, consistent)
    assert (book.options, book.short_options, book.by_root) == (whole.options, whole.short_options, whole.by_root)
    assert list(book.by_id) == list(whole.by_id)


def _walked(listed: list[list[dict[str, Any]]]) -> tuple[dict[str, Position], int, int, bool]:
    """The first row of each instrument, how many are unreadable and of others, and whether what repeats is the same."""
    held: dict[str, Position] = {}
    unreadable = of_others = 0
    consistent = True
    for row in cast("list[Any]", read_reply(Answer(200, body_of([*chain(*listed)]), None, None)).data):
        read = read_record(Position, row)
        if isinstance(read, str):
            unreadable += 1
        elif read.account_id != ACCOUNT:
            of_others += 1
        elif _not_to_differ(held.setdefault(read.instrument_id, read)) != _not_to_differ(read):
            consistent = False
    return held, unreadable, of_others, consistent


def _not_to_differ(of: Position) -> tuple[object, ...]:
    return of.quantity, of.available_quantity, of.symbol, of.position_type


@pytest.mark.requirement("A-01")
@pytest.mark.parametrize("odd", ["1", "?"], ids=["all ordinary", "one that is not"])
def test_a_page_is_not_walked_again_for_each_row_that_is_looked_at(odd: str, monkeypatch: pytest.MonkeyPatch):
    rows = [position(instrument_id=str(UUID(int=number))) for number in range(2, 302)]
    found = deferred([*rows, position(market_value=odd)]) or []
    walks: list[str] = []
    read, split = OrdinaryPositions.read, _deferred._split

    def reading(self: OrdinaryPositions, of: Rows) -> list[Position] | None:
        walks.append("all" if memoryview(of).nbytes > 2**17 else "one")
        return read(self, of)

    def splitting() -> Any:
        walks.append("split")
        return split()

    monkeypatch.setattr(OrdinaryPositions, "read", reading)
    monkeypatch.setattr(_deferred, "_split", splitting)
    assert {str(each.market_value) for each in found[:-1]} == {"15050.00"}
    assert (walks.count("all"), walks.count("split")) == (1, 1)


@pytest.mark.requirement("A-01")
def test_a_position_of_a_large_book_is_as_any_other_to_who_takes_it_apart():
    (read,), (whole,) = deferred([position(margin_rate=1)]) or [], tolerantly([position(margin_rate=1)])
    assert (tuple(read), len(read), read[1], read[-1]) == (tuple(whole), len(whole), whole[1], whole[-1])
    assert (repr(read), read._asdict(), read._replace(symbol="X")) == (
        repr(whole),
        whole._asdict(),
        whole._replace(symbol="X"),
    )
    for again in (copy.copy(read), copy.deepcopy(read), pickle.loads(pickle.dumps(read))):
        assert type(again) is Position
        assert again == read
    with pytest.raises(AttributeError):
        read.quantity = 5  # type: ignore[misc]


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
