"""The card of one instruction: dollars given up first, then cash and shares, and the price that decides."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import hypothesis
import pytest
from hypothesis import strategies as st

from domain.test_yardstick import Row, row, series
from evenings import CALENDAR, FRIDAY, Afternoon, facts, given, new_york
from positions_mcp.domain.account.market import Dividend
from positions_mcp.domain.enums import ExerciseStyle, InstructionType
from positions_mcp.domain.exercise.cards import card, notional_of_instruction
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.timing import early_exercise

CALL, PUT = series("AAPL261120", "C", 195), series("AAPL261120", "P", 195)
LATER = series("AAPL261218", "C", 195)


def option_of(asked: Row, price: str | None, *, assumed: bool = True) -> ProjectedOption:
    """The option of a row as the projection has it, at a close to assume, or with no price at all."""
    symbol = next(
        each
        for each in (CALL, PUT, LATER, INDEX, ADJUSTED)
        if row("EXERCISE", each, 1).instrument_id == asked.instrument_id
    )
    afternoon = Afternoon(holds={symbol: 5}, closes={} if price is None else {"AAPL": price, "SPX": price})
    known = facts(afternoon, given=given(afternoon) if assumed else {})
    (group,) = project(known, FRIDAY, batch=[asked]).underlyings
    return group.options[0]


INDEX, ADJUSTED = "SPXW261120C06000000", "AAPL1261120C00195000"


def text(kind: str, symbol: str, quantity: int, price: str | None) -> str:
    asked = row(kind, symbol, quantity)
    return "\n".join(card(asked, option_of(asked, price)))


@pytest.mark.requirement("I-04", "A-01")
@pytest.mark.parametrize(
    ("symbol", "effect"),
    [(CALL, "pays 39,000.00, receives 200 shares."), (PUT, "receives 39,000.00, delivers 200 shares.")],
)
def test_exercising_moves_strike_times_multiplier_times_quantity(symbol: str, effect: str) -> None:
    assert f"EXERCISE 2 {symbol} (strike 195, multiplier 100): {effect}" in text("EXERCISE", symbol, 2, "195")


MOVES = re.compile(r"(pays|receives) ([\d,.]+), (receives|delivers) ([\d,]+) shares")


@pytest.mark.requirement("I-04", "A-01")
@hypothesis.given(st.sampled_from("CP"), st.integers(1, 99_999_999), st.integers(1, 10**6))
def test_of_every_strike_and_quantity_the_cash_is_what_the_shares_cost(right: str, strike: int, quantity: int) -> None:
    asked = row("EXERCISE", symbol := f"AAPL261120{right}{strike:08d}", quantity)
    afternoon = Afternoon(holds={symbol: quantity}, closes={})
    (group,) = project(facts(afternoon), FRIDAY, batch=[asked]).underlyings
    found = MOVES.search("\n".join(card(asked, group.options[0])))
    assert found
    cash, shares = (Decimal(each.replace(",", "")) for each in found.group(2, 4))
    assert (shares, cash) == (100 * quantity, shares * strike / 1000)
    assert found.group(1, 3) == (("pays", "receives") if right == "C" else ("receives", "delivers"))


@pytest.mark.requirement("I-06", "I-08")
@hypothesis.given(st.sampled_from("CP"), st.integers(1, 60), st.integers(1, 60), st.sampled_from(["150", "195", "240"]))
def test_no_contract_is_exercised_twice_or_lost(right: str, held: int, asked: int, close: str) -> None:
    """What is exercised, on instruction and by exception, and what lapses are all there is."""
    symbol, quantity = series("AAPL261120", right, 195), min(held, asked)
    afternoon = Afternoon(holds={symbol: held}, closes={"AAPL": close})
    known = facts(afternoon, given=given(afternoon))
    (group,) = project(known, FRIDAY, batch=[row("EXERCISE", symbol, quantity)]).underlyings
    (option,) = group.options
    assert option.settling.by_batch == quantity
    assert option.by_exception == (held - quantity if option.in_the_money else 0)
    assert (option.by_exception or 0) + quantity + (option.lapses or 0) == held
    sign = 1 if right == "C" else -1
    moved = 100 * (held if option.in_the_money else quantity) * sign
    assert group.flow
    assert (group.flow.shares.expected, group.flow.cash.expected) == (moved, -195 * moved)


@pytest.mark.requirement("I-04", "I-08")
def test_the_dollars_given_up_stand_first() -> None:
    first, second, third = card(asked := row("DO_NOT_EXERCISE", CALL, 2), option_of(asked, "205"))
    assert first == f"2,000.00 given up by DO_NOT_EXERCISE 2 {CALL}."
    assert "not exercised, no cash, no shares" in second
    assert third.endswith("in the money.")


@pytest.mark.requirement("I-04", "I-07")
@pytest.mark.parametrize(
    ("symbol", "price", "where"),
    [
        (CALL, "195.01", "in the money."),
        (CALL, "195", "at the money."),
        (PUT, "195.01", "out of the money."),
        (PUT, None, "moneyness not known."),
    ],
)
def test_moneyness_is_the_holders_at_the_price_that_decides(symbol: str, price: str | None, where: str) -> None:
    assert text("DO_NOT_EXERCISE", symbol, 1, price).endswith(where)


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(("price", "doubt"), [("200.5", True), ("195", True), (None, True), ("190", False)])
def test_the_other_meaning_of_a_contrary_exercise_is_named_unless_it_is_out_of_the_money(
    price: str | None, *, doubt: bool
) -> None:
    assert ("whether CONTRARY_EXERCISE exercises" in text("CONTRARY_EXERCISE", CALL, 1, price)) is doubt


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize("price", ["200.5", None])
def test_of_an_adjusted_contract_cash_shares_and_moneyness_are_not_known(price: str | None) -> None:
    said = text("EXERCISE", ADJUSTED, 1, price)
    assert "multiplier not known): cash and shares not known." in said
    assert "cash, shares and moneyness not known." in said
    assert "the money" not in said


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("price", "effect"), [("6010", "receives 1,000.00, no shares."), (None, "cash not known, no shares.")]
)
def test_an_index_option_moves_cash_alone(price: str | None, effect: str) -> None:
    assert effect in text("EXERCISE", INDEX, 1, price)


@pytest.mark.requirement("I-04")
def test_an_early_exercise_says_its_own_cut_off_and_the_next_ex_dividend_date() -> None:
    asked = row("EXERCISE", LATER, 2)
    option = option_of(asked, "200")
    early = early_exercise(
        option.settling.position,
        2,
        replace(option.settling.terms, style=ExerciseStyle.AMERICAN),
        now=new_york(FRIDAY, "17:25"),
        calendar=CALENDAR,
        deadline=DeadlineRule(),
        price=Decimal(200),
        dividends=[Dividend(ex_date=date(2026, 12, 4)), Dividend(ex_date=date(2027, 3, 5))],
    )
    said = " ".join(card(asked, option, early))
    assert "Early exercise, irrevocable once accepted: sent for today, cut-off 2026-11-20 17:30 New York." in said
    assert "Next ex-dividend date 2026-12-04 (amount not known)." in said
    assert "the close" not in said


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(("read", "said"), [(None, True), ((), False)])
def test_dividends_that_could_not_be_read_are_not_known(read: tuple[date, ...] | None, *, said: bool) -> None:
    asked = row("EXERCISE", LATER, 2)
    option = option_of(asked, "200")
    now, position = new_york(FRIDAY, "12:00"), option.settling.position
    terms = replace(option.settling.terms, style=ExerciseStyle.AMERICAN)
    early = early_exercise(position, 2, terms, now=now, calendar=CALENDAR, deadline=DeadlineRule(), dividends=read)
    assert ("The next ex-dividend date is not known." in card(asked, option, early)) is said


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "kind", "price", "amount", "priced"),
    [
        (CALL, "EXERCISE", None, 39000, True),
        (PUT, "CONTRARY_EXERCISE", "200.5", 39000, True),
        (CALL, "DO_NOT_EXERCISE", "200.5", 1100, True),
        (PUT, "DO_NOT_EXERCISE", "200.5", 0, True),
        (CALL, "DO_NOT_EXERCISE", None, 0, False),
        (ADJUSTED, "EXERCISE", "200.5", 39000, False),
    ],
)
def test_an_instruction_counts_for_the_money_it_moves_or_gives_up(
    *, symbol: str, kind: str, price: str | None, amount: int, priced: bool
) -> None:
    asked = row(kind, symbol, 2)
    notional = notional_of_instruction(InstructionType(kind), 2, option_of(asked, price))
    assert (notional.amount, notional.priced) == (amount, priced)
