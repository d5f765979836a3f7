"""What an evening leaves an account with, for books worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from evenings import ACCOUNT, CALENDAR, FRIDAY, Afternoon, Told, booked, facts, given, new_york
from positions_mcp.domain.exercise.cutoffs import settlement_day
from positions_mcp.domain.exercise.facts import next_expiration
from positions_mcp.domain.exercise.projected import Projection
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Span
from positions_mcp.domain.exercise.words import projection_lines
from positions_mcp.domain.instruments import OptionRight

pytestmark = pytest.mark.requirement("I-06")

TODAY, LATER = "AAPL261120", "AAPL261218"


def at(close: str, holds: dict[str, int], *told: Told, **more: object) -> Projection:
    afternoon = Afternoon(holds=holds, closes={"AAPL": close}, told=told)
    return project(facts(afternoon, given=given(afternoon), **more), FRIDAY)


def series(prefix: str, right: str, strike: int) -> str:
    return f"{prefix}{right}{strike * 1000:08d}"


CONDOR = {
    series(TODAY, "P", 90): 1,
    series(TODAY, "P", 95): -1,
    series(TODAY, "C", 105): -1,
    series(TODAY, "C", 110): 1,
}
COLLAR = {"AAPL": 100, series(TODAY, "P", 95): 1, series(TODAY, "C", 105): -1}
REVERSAL = {"AAPL": -100, series(TODAY, "C", 100): 1, series(TODAY, "P", 100): -1}
JELLY_ROLL = {
    series(TODAY, "C", 100): -1,
    series(TODAY, "P", 100): 1,
    series(LATER, "C", 100): 1,
    series(LATER, "P", 100): -1,
}
COVERED_STRANGLE = {"AAPL": 100, series(TODAY, "C", 105): -1, series(TODAY, "P", 95): -1}
CALENDAR_SPREAD = {series(TODAY, "C", 100): 1, series(LATER, "C", 100): -1}
BOOKS = [
    ("a condor all out of the money", CONDOR, "100", 0, 0, 0),
    ("a condor between its puts", CONDOR, "92", 100, -9_500, 0),
    ("a condor below its puts", CONDOR, "80", 0, -500, 0),
    ("a condor above its calls", CONDOR, "120", 0, -500, 0),
    ("a collar between its strikes", COLLAR, "100", 100, 0, 0),
    ("a collar below its put", COLLAR, "90", 0, 9_500, 0),
    ("a collar above its call", COLLAR, "110", 0, 10_500, 0),
    ("a reversal above its strike", REVERSAL, "110", 0, -10_000, 0),
    ("a reversal below its strike", REVERSAL, "90", 0, -10_000, 0),
    ("a reversal at its strike", REVERSAL, "100", -100, 0, 0),
    ("a jelly roll above its strike", JELLY_ROLL, "110", -100, 10_000, 0),
    ("a jelly roll below its strike", JELLY_ROLL, "90", -100, 10_000, 0),
    ("a covered strangle above its call", COVERED_STRANGLE, "110", 0, 10_500, 0),
    ("a covered strangle below its put", COVERED_STRANGLE, "90", 200, -9_500, 0),
    ("a calendar whose near call is exercised", CALENDAR_SPREAD, "110", 100, -10_000, 0),
    ("a calendar whose near call lapses", CALENDAR_SPREAD, "90", 0, 0, 1),
]


@pytest.mark.parametrize(
    ("holds", "close", "shares", "cash", "uncovered"), [row[1:] for row in BOOKS], ids=[row[0] for row in BOOKS]
)
def test_books_of_the_field_end_as_worked_by_hand_and_as_booked(
    holds: dict[str, int], close: str, shares: int, cash: int, uncovered: int
) -> None:
    (underlying,) = at(close, holds).underlyings
    assert underlying.shares_after == Span.exactly(Decimal(shares))
    assert [each.flow.cash for each in underlying.outcomes] == [Span.exactly(Decimal(cash))]
    assert sum(each.uncovered for each in underlying.left_lacking) == uncovered
    night = booked(Afternoon(holds=holds, closes={"AAPL": close}))
    assert (night.shares("AAPL"), night.cash) == (shares, cash)


def test_a_partial_instruction_leaves_the_rest_to_exception() -> None:
    call = series(TODAY, "C", 95)
    (underlying,) = at("100", {"AAPL": 10, call: 5}, Told("EXERCISE", call, 2)).underlyings
    (option,) = underlying.options
    assert (option.settling.on_instruction, option.by_exception, option.lapses) == (2, 3, 0)
    assert underlying.shares_after.expected == 510


def test_a_put_exercised_beyond_the_shares_leaves_them_short_and_says_by_how_much() -> None:
    (underlying,) = at("90", {"AAPL": 100, series(TODAY, "P", 100): 4}).underlyings
    assert (underlying.shares_after.expected, underlying.short_shares) == (-300, 300)


def test_a_later_short_call_is_left_uncovered_when_its_shares_are_delivered() -> None:
    (underlying,) = at("110", {"AAPL": 100, series(TODAY, "C", 105): -1, series(LATER, "C", 105): -1}).underlyings
    (group,) = underlying.left_lacking
    assert (group.root, group.right, group.uncovered) == ("AAPL", OptionRight.CALL, 1)


def test_short_shares_that_an_exercised_call_buys_back_no_longer_cover_a_put() -> None:
    holds = {"AAPL": -100, series(TODAY, "C", 95): 1, series(LATER, "P", 90): -1}
    (underlying,) = at("100", holds).underlyings
    (left,) = underlying.left
    lacking = (underlying.lacking_before, left.at_worst)
    assert [sum(each.uncovered for each in groups.values()) for groups in lacking] == [0, 1]


def test_shares_that_an_open_order_may_sell_are_not_counted_as_cover() -> None:
    holds = {"AAPL": 100, series(TODAY, "C", 120): 1, series(LATER, "C", 105): -1}
    afternoon = Afternoon(holds=holds, closes={"AAPL": "100"})
    known = facts(afternoon, given=given(afternoon))
    shares = known.book.positions[0].instrument_id
    (underlying,) = project(replace(known, counted={shares: Decimal(0)}), FRIDAY).underlyings
    assert sum(each.uncovered for each in underlying.left_lacking) == 1
    assert underlying.shares_after.expected == 100


@pytest.mark.parametrize(("close", "by_exception"), [("100.009", 0), ("100.0100", 1), ("100.005", 0)])
def test_a_close_of_fractions_of_a_cent_is_compared_exactly(close: str, by_exception: int) -> None:
    (underlying,) = at(close, {series(TODAY, "C", 100): 1}).underlyings
    assert underlying.options[0].by_exception == by_exception


def test_an_instruction_not_accepted_yet_counts_and_what_it_may_still_come_to_is_beside_it() -> None:
    call = series(TODAY, "C", 105)
    (underlying,) = at("100", {call: 3}, Told("EXERCISE", call, 2, "SENT")).underlyings
    assert underlying.shares_after == Span(Decimal(200), Decimal(0), Decimal(200))
    assert underlying.doubts == (f"EXERCISE 2 {call} is SENT: not accepted yet; counted as if it were",)


def test_a_requested_cancel_counts_as_done_and_may_fail() -> None:
    call = series(TODAY, "C", 95)
    (underlying,) = at("100", {call: 3}, Told("DO_NOT_EXERCISE", call, 2, "CANCEL_REQUESTED")).underlyings
    assert underlying.shares_after == Span(Decimal(300), Decimal(100), Decimal(300))


def test_a_contrary_exercise_in_the_money_may_also_give_the_option_up() -> None:
    call = series(TODAY, "C", 95)
    (underlying,) = at("100", {call: 1}, Told("CONTRARY_EXERCISE", call, 1)).underlyings
    assert underlying.shares_after == Span(Decimal(100), Decimal(0), Decimal(100))


@pytest.mark.parametrize(("price", "below", "above"), [("100.40", 0, 100), ("99.60", 0, 100)])
def test_a_strike_too_near_to_call_has_its_outcome_on_either_side(price: str, below: int, above: int) -> None:
    (underlying,) = at(price, {series(TODAY, "C", 100): 1, series(TODAY, "C", 102): 1}).underlyings
    (pin,) = underlying.pins
    assert (pin.strike, pin.lower.left.flow.shares.expected, pin.upper.left.flow.shares.expected) == (100, below, above)
    assert not pin.has_short


def test_both_sides_of_a_near_strike_have_what_is_exercised_early_too() -> None:
    later = series("AAPL261218", "P", 100)
    (underlying,) = at("100", {series(TODAY, "C", 100): 1, later: 1}, Told("EXERCISE", later, 1)).underlyings
    (pin,) = underlying.pins
    assert (pin.lower.left.flow.shares.expected, pin.upper.left.flow.shares.expected) == (-100, 0)
    assert (pin.lower.left.flow.cash.expected, pin.upper.left.flow.cash.expected) == (10_000, 0)


def test_once_the_close_is_known_only_own_shorts_differ_on_either_side() -> None:
    holds = {series(TODAY, "C", 100): 1, series(TODAY, "P", 100): -1}
    afternoon = Afternoon(holds=holds, closes={"AAPL": "100"}, at="16:20")
    (underlying,) = project(facts(afternoon, closes=given(afternoon)), FRIDAY).underlyings
    (pin,) = underlying.pins
    assert (pin.lower.left.flow.shares.expected, pin.upper.left.flow.shares.expected) == (100, 0)


def test_once_the_close_is_known_only_own_shorts_near_it_are_in_doubt() -> None:
    holds = {"AAPL": 100, series(TODAY, "C", 100): 1, series(TODAY, "P", 100): -1}
    known = facts(Afternoon(holds=holds, closes={"AAPL": "100.2"}, at="16:30"), closes={"AAPL": Decimal("100.2")})
    (underlying,) = project(known, FRIDAY).underlyings
    (pin,) = underlying.pins
    assert pin.has_short
    (shares,) = project(replace(known, book=_without(known.book, "P00100")), FRIDAY).underlyings
    assert not shares.pins


def _without(book, text: str):
    return replace(book, positions=tuple(each for each in book.positions if text not in each.symbol))


def test_what_expires_before_the_evening_asked_for_has_not_expired_yet() -> None:
    holds = {"AAPL": 100, series(TODAY, "C", 100): 1, "AAPL261218C00100000": 2}
    said = " | ".join(project(facts(Afternoon(holds=holds, closes={})), date(2026, 12, 18)).unknown)
    assert "what will become of 1 option expiring sooner" in said
    assert "still in the book" not in said


def test_what_is_not_known_is_named() -> None:
    holds = {"AAPL": 100, series(TODAY, "C", 100): 1, "AAPL1261120C00100000": 1, "SPX261120C06000000": 1}
    known = facts(Afternoon(holds=holds, closes={}), outstanding=None, with_ids=False)
    broken = known.book.positions[1]._replace(symbol="", instrument_id="b" * 36)
    stale = known.book.positions[1]._replace(symbol="AAPL261113C00100000", instrument_id="c" * 36)
    book = replace(known.book, positions=(*known.book.positions, broken, stale), unreadable=1)
    unknown = " | ".join(project(replace(known, book=book), FRIDAY).unknown)
    for what in (
        "the account's instructions",
        "the whole book",
        "1 option whose symbol cannot be read",
        "what became of 1 option expired before",
        "the price of an underlying",
        "an opening settlement",
        "what an adjusted contract delivers",
        "buying power",
        "a holder may exercise against the close",
        "the broker may close, or not exercise",
        "fees, margin",
    ):
        assert what in unknown


def test_cash_needed_is_set_against_buying_power_where_that_is_known() -> None:
    holds = {series(TODAY, "C", 95): 5}
    for power, said in ((None, ""), (20_000, "27,500 more than the buying power of"), (90_000, "within the buying")):
        in_all = projection_lines(at("100", holds, buying_power=Decimal(power) if power else None))[-2]
        assert in_all.partition("needs 47,500, ")[2].startswith(said)


def test_the_day_is_the_next_with_the_last_session_of_an_option_held() -> None:
    holds = {"AAPL261128C00100000": 1, series(LATER, "C", 95): 1, "AAPL261113C00100000": 1, series(TODAY, "C", 95): 0}
    book = facts(Afternoon(holds=holds, closes={})).book
    assert next_expiration(book, new_york(FRIDAY, "15:00"), CALENDAR) == date(2026, 11, 27)
    assert next_expiration(_without(book, "AAPL"), new_york(FRIDAY, "15:00"), CALENDAR) is None


def test_on_a_saturday_the_friday_that_is_not_booked_yet_is_still_the_day() -> None:
    book = facts(Afternoon(holds={series(TODAY, "C", 95): 1, series(LATER, "C", 95): 1}, closes={})).book
    assert next_expiration(book, new_york(date(2026, 11, 21), "10:00"), CALENDAR) == FRIDAY
    assert next_expiration(book, new_york(date(2026, 11, 23), "08:00"), CALENDAR) == date(2026, 12, 18)


@pytest.mark.parametrize(
    ("day", "symbol", "cutoff"),
    [
        (date(2026, 11, 27), "AAPL261127C00100000", "14:30"),
        (date(2026, 11, 27), "AAPL261128C00100000", "14:30"),
        (date(2026, 6, 18), "AAPL260619C00100000", "17:30"),
        (date(2026, 4, 2), "AAPL260403C00100000", "17:30"),
        (date(2026, 3, 9), "AAPL260309C00100000", "17:30"),
        (date(2026, 10, 30), "AAPL261030C00100000", "17:30"),
        (date(2026, 12, 24), "AAPL261224C00100000", "14:30"),
    ],
)
def test_the_evening_and_its_cutoff_follow_the_calendar(day: date, symbol: str, cutoff: str) -> None:
    afternoon = Afternoon(holds={symbol: 1}, closes={"AAPL": "110"}, day=day, at="12:00")
    known = facts(afternoon, given=given(afternoon))
    assert next_expiration(known.book, known.now, CALENDAR) == day
    projection = project(known, day)
    assert (projection.day, projection.cutoffs) == (day, (new_york(day, cutoff),))
    assert projection.underlyings[0].shares_after.expected == booked(afternoon).shares("AAPL") == 100


@pytest.mark.parametrize(
    ("day", "settles"),
    [
        (date(2026, 11, 20), date(2026, 11, 23)),
        (date(2026, 11, 25), date(2026, 11, 27)),  # Thanksgiving
        (date(2026, 4, 2), date(2026, 4, 6)),  # Good Friday
        (date(2026, 10, 9), date(2026, 10, 13)),  # Columbus Day: the exchanges trade, nothing settles
        (date(2026, 10, 12), date(2026, 10, 13)),
        (date(2026, 11, 10), date(2026, 11, 12)),  # Veterans Day
        (date(2028, 11, 10), date(2028, 11, 13)),  # on a Saturday
        (date(2029, 11, 9), date(2029, 11, 13)),  # observed on a Monday
        (date(2026, 12, 31), date(2027, 1, 4)),
    ],
)
def test_what_is_exercised_settles_on_the_next_day_on_which_anything_does(day: date, settles: date) -> None:
    assert settlement_day(day, CALENDAR) == settles


def test_an_adjusted_contract_on_the_same_underlying_leaves_its_shares_out_and_says_so() -> None:
    known = facts(Afternoon(holds={"AAPL": 100, "AAPL1261120C00090000": 1}, closes={"AAPL": "100"}))
    shares, option = known.book.positions
    option = option._replace(underlying_instrument_id=shares.instrument_id)
    (underlying,) = project(replace(known, book=replace(known.book, positions=(shares, option))), FRIDAY).underlyings
    assert (underlying.name, underlying.flow) == ("AAPL", None)
    assert [each.settling.position.symbol for each in underlying.not_stated] == ["AAPL1261120C00090000"]
    assert underlying.options[0].in_the_money is None


def test_an_underlying_is_chosen_by_its_symbol_and_a_large_book_is_told_apart() -> None:
    holds = {f"{root}261120C00100000": 1 for root in ("AAPL", "MSFT", "NVDA")}
    known = facts(Afternoon(holds=holds, closes={}))
    assert [each.name for each in project(known, FRIDAY, underlying="msft").underlyings] == ["MSFT"]
    assert [each.name for each in project(known, FRIDAY).underlyings] == ["AAPL", "MSFT", "NVDA"]
    assert known.book.account_id == ACCOUNT


@pytest.mark.parametrize("status", ["ACCEPTED", "SENT", "CANCEL_FAILED", "CANCEL_REQUESTED"])
def test_an_early_exercise_of_an_evening_before_is_not_counted_again(status: str) -> None:
    later = series(LATER, "C", 80)
    friday = facts(Afternoon(holds={"AAPL": 210, later: 3}, closes={}, told=(Told("EXERCISE", later, 2, status),)))
    saturday = new_york(date(2026, 11, 21), "11:00")
    known = replace(friday, now=saturday, given={"AAPL": Decimal(100)})
    (underlying,) = project(known, date(2026, 11, 23)).underlyings
    assert underlying.shares_after == Span(Decimal(210), Decimal(210), Decimal(410))
    assert "sent for an evening that is over" in underlying.doubts[0]


@pytest.mark.requirement("I-06")
def test_what_another_evening_does_and_what_nobody_knows_is_not_called_settled() -> None:
    later, odd = series(LATER, "P", 100), series(TODAY, "C", 100)
    told = (Told("EXERCISE", later, 1), Told("ROLL", odd, 2))
    known = facts(Afternoon(holds={later: 3, odd: 5}, closes={}, told=told), given={"AAPL": Decimal(110)})
    (friday,) = project(known, FRIDAY).underlyings
    not_known = "what it asks for is not known; counted as an exercise, and as none"
    assert friday.doubts == (f"ROLL 2 {odd} is ACCEPTED: {not_known}",)
    (monday,) = project(known, date(2026, 11, 23)).underlyings
    assert monday.doubts == (
        f"EXERCISE 1 {later} is ACCEPTED: it is for the evening of 2026-11-20; its effect is counted here too",
    )
