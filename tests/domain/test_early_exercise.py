"""Exercising before expiration: its day and cut-off, the time value given up, dividends, and European options."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from evenings import CALENDAR, Afternoon, facts, new_york
from positions_mcp.domain.account.market import Dividend
from positions_mcp.domain.enums import ExerciseStyle
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, sent_for
from positions_mcp.domain.exercise.terms import terms_of
from positions_mcp.domain.exercise.timing import EarlyExercise, early_exercise

pytestmark = pytest.mark.requirement("I-08")

CALL, PUT = "AAPL261218C00080000", "AAPL261218P00120000"
TUESDAY = date(2026, 11, 24)


def early(symbol: str, day: date, at: str, *, own: str | None = "21", **more: object) -> EarlyExercise | None:
    (option,) = facts(Afternoon(holds={symbol: 2}, closes={}), with_ids=False).book.positions
    option = option._replace(instrument_price=None if own is None else Decimal(own))
    return early_exercise(
        option,
        2,
        terms_of(option),
        now=new_york(day, at),
        calendar=CALENDAR,
        deadline=DeadlineRule(),
        **more,
    )


@pytest.mark.parametrize(
    ("day", "at", "sent", "cutoff"),
    [
        (TUESDAY, "17:25", TUESDAY, "17:30"),
        (TUESDAY, "17:30", date(2026, 11, 25), "17:30"),
        (date(2026, 11, 25), "18:00", date(2026, 11, 27), "14:30"),  # Thanksgiving, then an early close
        (date(2026, 11, 26), "12:00", date(2026, 11, 27), "14:30"),
        (date(2026, 11, 27), "14:29", date(2026, 11, 27), "14:30"),
        (date(2026, 11, 28), "12:00", date(2026, 11, 30), "17:30"),
        (date(2026, 11, 23), "03:00", date(2026, 11, 23), "17:30"),
    ],
)
def test_the_cutoff_is_that_of_the_trading_day_it_is_sent_for(day: date, at: str, sent: date, cutoff: str) -> None:
    found = early(CALL, day, at)
    assert found is not None
    assert (found.session.day, found.cutoff, found.is_for_today) == (sent, new_york(sent, cutoff), sent == day)


@pytest.mark.parametrize(
    ("day", "at", "why"),
    [
        (TUESDAY, "17:30", "2026-11-25, as today's cut-off is over"),
        (date(2026, 11, 26), "12:00", "2026-11-27, as today is not a trading day"),
        (date(2026, 11, 28), "12:00", "2026-11-30, as today is not a trading day"),
    ],
)
def test_it_says_why_it_is_not_for_today(day: date, at: str, why: str) -> None:
    found = early(CALL, day, at)
    assert found is not None
    assert f"sent for {why}, cut-off" in found.said[0]


def test_it_says_early_irrevocable_what_is_given_up_and_the_next_ex_dividend_date() -> None:
    dates = [date(2026, 11, 23), date(2026, 12, 9), date(2027, 3, 9)]
    dividends = [Dividend(ex_date=day, dividend_amount=Decimal("0.26")) for day in dates]
    found = early(CALL, TUESDAY, "17:25", price=Decimal(100), dividends=dividends)
    assert found is not None
    assert found.said == (
        "Early exercise, irrevocable once accepted: sent for today, cut-off 2026-11-24 17:30 New York.",
        "Gives up 200.00 of time value: selling the option would keep it.",
        "Next ex-dividend date 2026-12-09 (0.26 a share).",
    )


@pytest.mark.parametrize(("own", "price"), [(None, Decimal(100)), ("21", None)])
def test_without_a_price_the_time_value_is_not_known(own: str | None, price: Decimal | None) -> None:
    found = early(CALL, TUESDAY, "12:00", own=own, price=price)
    assert found is not None
    assert found.time_value is None
    assert "not known" in found.said[1]


def test_on_its_last_day_it_is_no_early_exercise_nor_after_the_cutoff_of_the_day_before() -> None:
    assert early(CALL, date(2026, 12, 18), "12:00") is None
    assert early(CALL, date(2026, 12, 17), "17:30") is None
    assert early(CALL, date(2026, 12, 17), "17:29") is not None


@pytest.mark.parametrize("symbol", ["SPX261218C06000000", "SPXW261218C06000000", "XEO261218P03000000"])
def test_a_european_option_is_refused_with_the_reason(symbol: str) -> None:
    found = early(symbol, TUESDAY, "12:00")
    assert found is not None
    assert found.said == (f"{symbol} is European: it is exercised at expiration only, on 2026-12-18.",)


def test_the_american_index_option_is_not() -> None:
    found = early("OEX261218C03000000", TUESDAY, "12:00")
    assert found is not None
    assert not found.refusal


def test_an_earlier_cutoff_of_the_broker_moves_the_day() -> None:
    broker = DeadlineRule(new_york(TUESDAY, "16:30").time())
    assert sent_for(new_york(TUESDAY, "16:30"), CALENDAR, broker).day == date(2026, 11, 25)


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("symbol", "day", "at", "ex_date", "is_late"),
    [
        (CALL, TUESDAY, "17:29", date(2026, 11, 25), False),
        (CALL, TUESDAY, "17:30", date(2026, 11, 25), True),  # sent for Wednesday, without its dividend
        (CALL, date(2026, 11, 26), "12:00", date(2026, 11, 27), True),  # Thanksgiving
        (CALL, date(2026, 11, 27), "14:29", date(2026, 11, 30), False),  # an early close
        (CALL, date(2026, 11, 27), "14:30", date(2026, 11, 30), True),
        (CALL, date(2026, 11, 28), "12:00", date(2026, 11, 30), True),  # a Saturday
        (PUT, TUESDAY, "17:30", date(2026, 11, 25), False),  # a put delivers shares, and gets no dividend
    ],
)
def test_a_call_exercised_too_late_for_the_next_dividend_says_so(
    symbol: str, day: date, at: str, ex_date: date, *, is_late: bool
) -> None:
    found = early(symbol, day, at, price=Decimal(100), dividends=[Dividend(ex_date=ex_date, dividend_amount=1)])
    assert found is not None
    late = ": this exercise comes too late for that dividend" if is_late else ""
    assert found.said[-1] == f"Next ex-dividend date {ex_date.isoformat()} (1 a share){late}."


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(("style", "is_said"), [(None, True), (ExerciseStyle.AMERICAN, False)])
def test_an_early_exercise_of_an_option_of_unknown_style_says_that_it_may_not_be_possible(
    style: ExerciseStyle | None, *, is_said: bool
) -> None:
    (option,) = facts(Afternoon(holds={CALL: 2}, closes={}), with_ids=False).book.positions
    terms = replace(terms_of(option), style=style)
    found = early_exercise(option, 2, terms, now=new_york(TUESDAY, "12:00"), calendar=CALENDAR, deadline=DeadlineRule())
    assert found is not None
    assert any("whether it is American" in line for line in found.said) is is_said
