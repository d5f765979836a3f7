"""Grouping loses nothing, counts nothing twice, and every total is the exact sum of what is known."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.books import book_of, books, identifier
from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.portfolio.groups import NO_EXPIRY, UNKNOWN_EXPIRY, Group, GroupBy, Underlyings, share
from positions_mcp.domain.portfolio.select import Week
from positions_mcp.domain.portfolio.summary import Summary
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.market_calendar import NewYorkCalendar
from tools.serving import held

WEEK = Week.of(date(2026, 11, 23), NewYorkCalendar())


def group(book: Book, by: GroupBy) -> list[Group]:
    summary = Summary(by, WEEK, 3)
    summary.add(book.positions)
    return summary.groups


@pytest.mark.requirement("A-01")
@given(books(), st.sampled_from(GroupBy))
def test_every_position_is_in_one_group_and_the_groups_make_the_whole(book: Book, by: GroupBy) -> None:
    groups = group(book, by)
    assert sum(each.totals.positions for each in groups) == len(book.positions)
    assert len({each.name for each in groups}) == len(groups)
    assert Totals.merged(each.totals for each in groups) == Totals.of(book.positions)


@pytest.mark.requirement("A-01")
@given(books(), st.randoms(use_true_random=False))
def test_the_groups_do_not_depend_on_the_order_of_the_listing(book: Book, random: Random) -> None:
    shuffled = random.sample(book.positions, len(book.positions))
    groups = {each.name: each.totals for each in group(book, GroupBy.UNDERLYING)}
    assert {each.name: each.totals for each in group(book_of(*shuffled), GroupBy.UNDERLYING)} == groups


def test_a_root_means_the_very_symbol_or_the_only_one_that_is_so_written() -> None:
    option, dotted, plain = held("BRKB261218P00400000", number=1), held("BRK.B", number=2), held("BRKB", number=3)
    slashed = held("BRK/B", number=4)
    for held_too, name in (((dotted,), "BRK.B"), ((dotted, plain), "BRKB"), ((dotted, slashed), "BRKB")):
        counts = {each.name: each.totals.positions for each in group(book_of(*held_too, option), GroupBy.UNDERLYING)}
        assert sum(counts.values()) == len(held_too) + 1
        assert counts[name] == (1 if held_too == (dotted, slashed) else 2)


@given(books(), st.sampled_from(GroupBy), st.integers(1, 4), st.integers(1, 8))
def test_however_the_pages_fall_the_summary_is_that_of_the_whole_book(
    book: Book, by: GroupBy, count: int, page: int
) -> None:
    whole, paged = Summary(by, WEEK, count), Summary(by, WEEK, count)
    whole.add(book.positions)
    for start in range(0, len(book.positions), page):
        paged.add(book.positions[start : start + page])
    for name in ("totals", "groups", "by_underlying", "largest", "winners", "losers"):
        assert getattr(paged, name) == getattr(whole, name)
    assert list(map(paged.spellings.repeats(), book.positions)) == list(map(whole.spellings.repeats(), book.positions))
    assert paged.expiring() == whole.expiring()


@given(books())
def test_an_option_is_grouped_where_its_underlying_is_named(book: Book) -> None:
    underlyings = Underlyings(book.positions)
    counts = Counter(map(underlyings.name_of, book.positions))
    assert {each.name: each.totals.positions for each in group(book, GroupBy.UNDERLYING)} == counts


@given(books(), st.integers(1, 5))
def test_the_largest_and_the_movers_are_the_extremes(book: Book, count: int) -> None:
    summary = Summary(GroupBy.SIDE, WEEK, count)
    summary.add(book.positions)
    days = [p.daily_unrealized_pnl for p in book.positions if p.daily_unrealized_pnl]
    sizes = sorted((abs(p.market_value) for p in book.positions if p.market_value), reverse=True)
    assert [p.market_value and abs(p.market_value) for p in summary.largest] == sizes[:count]
    gains = sorted((day for day in days if day > 0), reverse=True)
    assert [p.daily_unrealized_pnl for p in summary.winners] == gains[:count]
    assert [p.daily_unrealized_pnl for p in summary.losers] == sorted(day for day in days if day < 0)[:count]


@pytest.mark.requirement("A-01")
@given(books())
def test_totals_are_the_exact_sums_of_what_is_known_and_count_what_is_not(book: Book) -> None:
    totals = Totals.of(book.positions)
    values = [position.value for position in book.positions]
    assert Fraction(totals.net.amount) == sum((Fraction(value) for value in values if value is not None), Fraction(0))
    assert Fraction(totals.gross.amount) == sum((abs(Fraction(v)) for v in values if v is not None), Fraction(0))
    assert totals.net.missing == values.count(None)
    assert (totals.net.total is None) == (bool(values) and values.count(None) == len(values))
    flat = Totals.of(position for position in book.positions if position.quantity == 0).net
    assert tuple(map(sum, zip(totals.long, totals.short, flat, strict=True))) == totals.net


@pytest.mark.requirement("A-01")
@given(books(), st.sampled_from(["0", "1.5"]))
def test_what_a_position_counts_for_does_not_depend_on_what_it_is_counted_with(book: Book, realized: str) -> None:
    closed = held("SOLD", "0", number=900, daily_unrealized_pnl=None, daily_realized_pnl="0")
    moved = held("KO", number=901, daily_realized_pnl=realized)
    rows = [*book.positions, closed, moved]
    assert Totals.merged(Totals.of([each]) for each in rows) == Totals.of(rows)


@pytest.mark.requirement("A-01")
def test_a_value_of_zero_for_want_of_a_price_is_missing_and_one_with_a_price_is_not() -> None:
    halted, worthless = held("HALT", market_value="0.00"), held("X", number=1, market_value="0", instrument_price="0")
    flat = held("FLAT", "0", number=2, market_value="0")
    assert [position.value for position in (halted, worthless, flat)] == [None, Decimal(0), Decimal(0)]
    net = Totals.of([halted, worthless, flat]).net
    assert (net.known, net.missing, net.total) == (2, 1, Decimal(0))


def test_options_roll_up_under_the_underlying_the_api_names_or_their_root_names() -> None:
    book = book_of(
        held("AAPL", number=1),
        held("AAPL261218C00240000", number=2, underlying_instrument_id=identifier(1)),
        held("AAPL1261218C00240000", number=3, underlying_instrument_id=identifier(1)),
        held("AAPL261218P00200000", number=4),
        held("BRK.B", number=5),
        held("BRKB261218P00400000", number=6),
        held("SPXW261218P05000000", number=7, underlying_instrument_id=identifier(99)),
        held("SPX261218P05000000", number=8, underlying_instrument_id=identifier(99)),
        held("", number=9, instrument_type="OPTION"),
    )
    groups = group(book, GroupBy.UNDERLYING)
    counts = {each.name: each.totals.positions for each in groups}
    assert counts == {"AAPL": 4, "BRK.B": 2, "SPX": 2, identifier(9): 1}


def test_groups_by_expiry_are_in_date_order_with_what_has_none_last() -> None:
    book = book_of(
        held("AAPL", number=1),
        held("AAPL270115C00240000", number=2),
        held("", number=3, instrument_type="OPTION"),
        held("AAPL261218C00240000", number=4),
    )
    groups = group(book, GroupBy.EXPIRY)
    assert [each.name for each in groups] == ["2026-12-18", "2027-01-15", NO_EXPIRY, UNKNOWN_EXPIRY]


def test_a_share_is_of_gross_value_and_unknown_where_nothing_is_known() -> None:
    one = Totals.of([held("A", market_value="-30")])
    whole = Totals.of([held("A", market_value="-30"), held("B", number=1, market_value="90")])
    assert share(one, whole) == Decimal("25.00")
    assert share(one, Totals.of([held("C")])) is None
