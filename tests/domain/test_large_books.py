"""What is found by an index in a large book is what a walk through all of it finds, in every book there may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.books import AS_OF, POSITIONS, book_of, books, identifier, positions
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.timing import last_trade
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instruments import (
    OptionContract,
    as_asked,
    as_root,
    is_divided,
    parse_option_symbol,
    underlying_root_of,
)
from positions_mcp.domain.portfolio.exposure import CoverGroups, exposed, nearer_zero, worsened
from positions_mcp.domain.portfolio.resolve import Holdings, of_same_root
from positions_mcp.domain.portfolio.uncertain import uncertain_shorts
from positions_mcp.domain.text import clean, letters_of
from positions_mcp.guard.closing.targets import Hours
from positions_mcp.market_calendar import NewYorkCalendar


@st.composite
def crowded(draw: st.DrawFn) -> Book:
    """A book of many positions on few underlyings."""
    return book_of(*(draw(positions(number)) for number in range(draw(st.integers(0, 16)))))


@pytest.mark.requirement("G-12")
@given(crowded(), st.data())
def test_only_what_a_trade_touches_can_lose_its_cover(book: Book, data: st.DataObject) -> None:
    before = {each.instrument_id: each.counted_quantity for each in book.positions}
    some = st.sampled_from([*before, identifier(99)])
    traded = data.draw(st.dictionaries(some, st.integers(0, 1000).map(Decimal)))
    after = {key: nearer_zero(quantity, traded.get(key, Decimal(0))) for key, quantity in before.items()}
    assert CoverGroups.of(book).worsened(before, traded) == worsened(*exposed(book, [before, after]))


@given(st.lists(st.text(st.sampled_from("aB1.\"' \t\n\u00a0\u200b\u00df"), max_size=6), max_size=6))
def test_symbols_have_the_same_letters_together_as_each_alone(symbols: list[str]) -> None:
    assert letters_of(symbols) == ["".join(symbol.upper().split()) for symbol in symbols]


@given(st.lists(st.text(st.sampled_from("aAbB1.-/"), min_size=1, max_size=3), max_size=8))
def test_a_plain_symbol_is_found_alike_whether_or_not_an_odd_one_is_held_too(symbols: list[str]) -> None:
    plain = [Position(AccountId(19816), identifier(n), Decimal(1), symbol) for n, symbol in enumerate(symbols)]
    odd = Position(AccountId(19816), identifier(99), Decimal(1), 'ODD "ONE" ' * 30)
    for symbol in symbols:
        found = [_found(Holdings(held), symbol) for held in (plain, [*plain, odd])]
        assert found[0] == found[1]


def _found(holdings: Holdings[Position], symbol: str) -> Position | str:
    try:
        return holdings.find(symbol)
    except InvalidInput as error:
        return error.message


letters = st.text(st.sampled_from('aAB1.-/ "\t\u00df\u200b'), max_size=4)
options = st.builds(
    lambda root, gap, day, right, strike: f"{root}{gap}{day}{right}{strike:08d}",
    st.sampled_from(["A", "a.A", "AA", "A1", "1A"]),
    st.sampled_from(["", " ", "  ", "\t"]),
    st.sampled_from(["261120", "270115", "279999"]),
    st.sampled_from("CPc"),
    st.sampled_from([1000, 2000]),
)
names = letters | options | letters.map(lambda name: f"{name} " * 20 + name)


@given(st.lists(names, max_size=5), names)
def test_a_name_finds_what_a_walk_through_all_positions_finds(symbols: list[str], name: str) -> None:
    held = [Position(AccountId(19816), identifier(n), Decimal(1), symbol) for n, symbol in enumerate(symbols)]
    for text in (name, *symbols):
        asked = as_asked(text)
        contract = parse_option_symbol(asked)
        found, nearest = _all_found(Holdings(held), text)
        assert set(found) == {each.instrument_id for each in _walked(held, asked, contract)}
        if not found and contract is None:
            shown = {_shown(each.symbol) for each in held if each.symbol and not each.contract}
            assert nearest == of_same_root(asked, shown)


def _all_found(holdings: Holdings[Position], text: str) -> tuple[list[str], list[str]]:
    """The ids of what is found, and the nearest names where nothing is."""
    try:
        return [holdings.find(text).instrument_id], []
    except UnknownInstrument as error:
        return [], list(error.nearest)
    except InvalidInput as error:
        return error.hint.removeprefix("Use one UUID: ").removesuffix(".").split(", "), []


def _walked(held: list[Position], asked: str, contract: OptionContract | None) -> list[Position]:
    """An option by what its symbol means, others by how it is shown; else by the letters and digits of the root."""
    if contract is not None:
        exact = [each for each in held if each.contract == contract]
        return exact or [each for each in held if each.contract and _folded(each.contract) == _folded(contract)]
    shares = [each for each in held if each.symbol and not each.contract]
    exact = [each for each in shares if _shown(each.symbol) == _shown(asked)]
    root = as_root(asked) if is_divided(asked) else ""
    return exact or [each for each in shares if root and as_root(_shown(each.symbol)) == root]


def _folded(contract: OptionContract) -> OptionContract:
    return replace(contract, root=as_root(contract.root))


def _shown(symbol: str) -> str:
    return clean(symbol.strip().strip('"')).replace('"', "'").upper()


@pytest.mark.requirement("G-12")
@given(crowded())
def test_a_short_option_is_uncertain_where_what_goes_by_its_root_may_not_be_what_it_is_on(book: Book) -> None:
    def is_uncertain(short: Position) -> bool:
        named = book.by_id.get(short.underlying_instrument_id or InstrumentId(""))
        by_root = [
            p for p in book.positions if not p.is_option and as_root(p.symbol) == underlying_root_of(short.symbol)
        ]
        alike = by_root if named is None or named.is_option else [named]
        return short.multiplier is None or (bool(alike) and find_underlying(short, book) is None)

    shorts = [p for p in book.positions if p.is_option and p.counted_quantity < 0]
    assert list(book.short_options) == shorts
    assert list(uncertain_shorts(book)) == [short for short in shorts if is_uncertain(short)]


@given(books())
def test_namesakes_are_all_others_that_an_answer_would_call_the_same(book: Book) -> None:
    for each in book.positions:
        same = [other for other in book.positions if other.name.upper() == each.name.upper() and other is not each]
        assert book.namesakes(each) == same


@given(crowded())
def test_an_underlying_without_an_id_is_the_only_one_of_the_contracts_root(book: Book) -> None:
    for option in book.positions:
        if option.underlying_instrument_id is None and option.contract is not None and option.contract.is_standard:
            root = option.contract.underlying_root
            held = [p for p in book.positions if not p.is_option and not p.is_cash and as_root(p.symbol) == root]
            assert find_underlying(option, book) == (held[0] if len(held) == 1 else None)


@pytest.mark.parametrize("day", [date(2026, 11, 20), date(2026, 11, 26), date(2026, 11, 28), date(2027, 1, 1)])
@pytest.mark.parametrize("days", range(-20, 21))
def test_options_are_over_as_their_last_trade_says(day: date, days: int) -> None:
    now = AS_OF.astimezone(NEW_YORK).replace(year=day.year, month=day.month, day=day.day)
    calendar, deadline, expires = NewYorkCalendar(), DeadlineRule(), day + timedelta(days=days)
    row = {"account_id": 19816, "instrument_id": identifier(1), "quantity": Decimal(1)}
    option = POSITIONS.validate_python(row | {"symbol": f"AAPL{expires:%y%m%d}C00100000"})
    last = last_trade(option, None, calendar, deadline)
    assert last is not None
    assert Hours(now, calendar, deadline).are_over(expires) == last.has_expired(now)
