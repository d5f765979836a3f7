"""What expires this week, and whether it is in the money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from domain.books import book_of, identifier
from positions_mcp.domain.account.quotes import Moneyness
from positions_mcp.domain.exercise.cutoffs import last_dated
from positions_mcp.domain.portfolio.select import Week, expiring, expiring_by
from positions_mcp.market_calendar import NewYorkCalendar
from tools.serving import held


@pytest.mark.parametrize(
    ("today", "last"),
    [
        ("2026-11-16", "2026-11-20"),
        ("2026-11-20", "2026-11-20"),
        ("2026-11-21", "2026-11-27"),
        ("2026-11-22", "2026-11-27"),
    ],
)
def test_a_week_ends_on_friday_and_a_weekend_belongs_to_the_next(today: str, last: str) -> None:
    week = Week.of(date.fromisoformat(today), NewYorkCalendar())
    assert (week.first, week.last) == (date.fromisoformat(today), date.fromisoformat(last))


def test_options_of_the_week_come_soonest_first_with_their_distance_from_the_strike() -> None:
    book = book_of(
        held("AAPL", number=1, instrument_price="229.40"),
        held("AAPL261120P00240000", number=2, underlying_instrument_id=identifier(1), market_value="10"),
        held("AAPL261120C00240000", number=3, underlying_instrument_id=identifier(1), market_value="-20"),
        held("AAPL261119C00229400", number=4, underlying_instrument_id=identifier(1)),
        held("TSLA261120C00240000", number=5, underlying_instrument_id=identifier(99)),
        held("AAPL261127C00240000", number=6, underlying_instrument_id=identifier(1)),
    )
    others = [position for position in book.positions if not position.is_option]
    found = expiring(expiring_by(date(2026, 11, 20), book.positions), others)
    assert [(each.position.instrument_id, each.moneyness, each.distance) for each in found] == [
        (identifier(4), Moneyness.AT, Decimal(0)),
        (identifier(3), Moneyness.OUT, Decimal("10.60")),
        (identifier(2), Moneyness.IN, Decimal("10.60")),
        (identifier(5), Moneyness.UNKNOWN, None),
    ]


def test_a_contract_that_is_dated_on_the_weekend_ends_with_the_friday_before() -> None:
    saturday = held("AAPL261121C00240000", number=1)
    monday = held("AAPL261123C00240000", number=2)
    week = Week.of(date(2026, 11, 18), NewYorkCalendar())
    assert expiring_by(week.dated_by, (saturday, monday)) == [saturday]


@pytest.mark.parametrize(
    ("day", "last"),
    [
        ("2027-03-24", "2027-03-24"),
        ("2027-03-25", "2027-03-28"),  # before Good Friday
        ("2026-11-25", "2026-11-26"),  # before Thanksgiving
        ("2026-12-24", "2026-12-27"),  # before Christmas
        ("2027-01-15", "2027-01-18"),  # before a Monday without a session
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_a_contract_that_is_dated_on_a_closed_day_ends_with_the_session_before(day: str, last: str) -> None:
    assert last_dated(date.fromisoformat(day), NewYorkCalendar()) == date.fromisoformat(last)
