"""Finding, filtering and ordering positions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.books import book_of, books, identifier
from positions_mcp.domain.account.positions import Book, Position, Side
from positions_mcp.domain.enums import SecurityType, SortDirection
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.portfolio.resolve import Holdings
from positions_mcp.domain.portfolio.select import Filter, Sorting, SortKey, select
from tools.serving import held

CALL = "AAPL  281215C00195000"


@pytest.mark.parametrize(
    "text", ["AAPL281215C00195000", "aapl 281215 c 00195000", CALL, identifier(2), identifier(2).upper()]
)
def test_an_option_is_found_by_its_symbol_in_any_spacing_and_by_its_uuid(text: str) -> None:
    holdings = Holdings(book_of(held("AAPL", number=1), held(CALL, number=2)).positions)
    assert holdings.find(text).instrument_id == identifier(2)
    assert holdings.find(" aapl ").instrument_id == identifier(1)


def test_an_option_that_nobody_holds_is_an_error_with_the_nearest_of_its_root() -> None:
    holdings = Holdings(book_of(held("AAPL", number=1), held(CALL, number=2), held("MSFT", number=3)).positions)
    with pytest.raises(UnknownInstrument) as caught:
        holdings.find("AAPL281215C00190000")
    assert caught.value.nearest == ("AAPL281215C00195000",)
    with pytest.raises(UnknownInstrument, match=r"Nothing held is called .* No option on KO is held\.") as caught:
        holdings.find("KO281215C00190000")
    assert caught.value.nearest == ()


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("TSLAA", "TSLA"),
        ("goog", "GOOGL"),
        ("BRK.A", "BRK.B"),
        ("BRK", "BRK.B"),
        ("Coca-Cola", ""),
        ("COKE", ""),
        ("K", ""),
        ("KOS", ""),
        ("APPL", ""),
        ("Apple", ""),
        ("TSLAXX", ""),
        ("-", ""),
        ("COCA COLA", ""),
    ],
)
def test_only_another_class_or_one_letter_more_or_less_is_suggested_and_never_another_company(
    asked: str, nearest: str
) -> None:
    symbols = ("KO", "AAPL", "TSLA", "GOOGL", "BRK.B")
    positions = book_of(*(held(symbol, number=place) for place, symbol in enumerate(symbols, 1))).positions
    no_ticker = (
        f"{asked}." if asked.isupper() and len(asked) <= 5 else "Company names are not known here: give the ticker."
    )
    said = f": {nearest}." if nearest else no_ticker
    with pytest.raises(UnknownInstrument) as caught:
        Holdings(positions).find(asked)
    assert str(caught.value).endswith(said)
    with pytest.raises(UnknownInstrument) as caught:
        select(positions, Filter(underlying=asked))
    assert str(caught.value).endswith(said)


def test_a_symbol_of_two_instruments_is_refused_with_both_ids() -> None:
    holdings = Holdings(book_of(held("AAPL", number=1), held("AAPL", number=2)).positions)
    with pytest.raises(InvalidInput, match=f"{identifier(1)}, {identifier(2)}"):
        holdings.find("AAPL")


def test_an_underlying_brings_its_options_and_conditions_are_joined() -> None:
    option = held(CALL, "-1", number=2, underlying_instrument_id=identifier(1), instrument_type="OPTION")
    book = book_of(held("AAPL", number=1, instrument_type="COMMON_STOCK"), option, held("MSFT", number=3))
    assert [p.instrument_id for p in select(book.positions, Filter(underlying="aapl"))] == [
        identifier(1),
        identifier(2),
    ]
    assert select(book.positions, Filter(underlying=identifier(1))) == select(book.positions, Filter(underlying="AAPL"))
    assert select(book.positions, Filter(underlying="AAPL", side=Side.SHORT)) == [option]
    assert select(book.positions, Filter(instruments=("MSFT", "aapl"), instrument_type=SecurityType.COMMON_STOCK)) == [
        book.positions[0]
    ]
    with pytest.raises(UnknownInstrument, match="Nothing held is on the underlying APPL"):
        select(book.positions, Filter(underlying="APPL"))


def in_order(book: Book, order: Sorting) -> list[Position]:
    for start in range(0, len(book.positions), 3):
        order.add(book.positions[start : start + 3])
    return [book.positions[place] for place in order.places()]


@given(books(), st.sampled_from(SortKey), st.sampled_from(SortDirection))
def test_sorting_keeps_every_position_orders_what_is_known_and_puts_missing_last(
    book: Book, key: SortKey, direction: SortDirection
) -> None:
    ordered = in_order(book, Sorting(key, direction))
    assert sorted(p.instrument_id for p in ordered) == sorted(p.instrument_id for p in book.positions)
    names = {SortKey.SYMBOL: "name", SortKey.MARKET_VALUE: "value"}
    name = names.get(key, key.value.lower())
    values = [getattr(position, name) for position in ordered]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=direction is SortDirection.DESC)
    assert values == known + [None] * (len(values) - len(known))


@given(books())
def test_the_largest_come_first_whichever_way_they_are_held(book: Book) -> None:
    values = [abs(p.value) if p.value is not None else Decimal(-1) for p in in_order(book, Sorting())]
    assert values == sorted(values, reverse=True)
