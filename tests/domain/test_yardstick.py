"""Doing nothing tonight as the yardstick of a batch, and what the batch gives up in dollars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from evenings import FRIDAY, Afternoon, Told, facts, given, latest
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cards import ForgoneValue
from positions_mcp.domain.exercise.inaction import ComparedWithInaction, against_nothing
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.paper.symbols import instrument_id_of

pytestmark = pytest.mark.requirement("I-08")

TODAY, LATER = "AAPL261120", "AAPL261218"


@dataclass(frozen=True)
class Row:
    """A row of a batch."""

    instrument_id: InstrumentId
    instruction_type: InstructionType
    quantity: int


def series(prefix: str, right: str, strike: int) -> str:
    return f"{prefix}{right}{strike * 1000:08d}"


def row(kind: str, symbol: str, quantity: int) -> Row:
    return Row(InstrumentId(instrument_id_of(symbol)), InstructionType(kind), quantity)


def against(close: str | None, holds: dict[str, int], *rows: Row, told: tuple[Told, ...] = ()) -> ComparedWithInaction:
    afternoon = Afternoon(holds=holds, closes={} if close is None else {"AAPL": close}, told=told)
    return against_nothing(facts(afternoon, given=given(afternoon)), FRIDAY, rows)


def marked(price: str, holds: dict[str, int], *rows: Row) -> ForgoneValue:
    """What one row gives up where only the option's own price is known."""
    known = facts(Afternoon(holds=holds, closes={}))
    positions = tuple(each._replace(instrument_price=Decimal(price)) for each in known.book.positions)
    (given_up,) = against_nothing(replace(known, book=replace(known.book, positions=positions)), FRIDAY, rows).given_up
    return given_up


CALL, PUT, SHORT_CALL = series(TODAY, "C", 95), series(TODAY, "P", 110), series(TODAY, "C", 105)
COLLAR = {"AAPL": 200, SHORT_CALL: -2, PUT: 2}


def test_exercising_what_goes_by_exception_anyway_is_no_worse_than_doing_nothing() -> None:
    compared = against("100", COLLAR, row("EXERCISE", PUT, 2))
    assert (compared.worse, compared.perhaps_worse) == ((), ())
    assert (compared.gives_up_least, compared.gives_up_most) == (0, 0)
    assert not compared.more_short_shares


def test_abandoning_the_put_that_protects_gives_up_its_dollars() -> None:
    compared = against("100", COLLAR, row("DO_NOT_EXERCISE", PUT, 2))
    assert (compared.worse, compared.perhaps_worse) == ((), ())
    assert [each.said for each in compared.given_up] == [f"2,000.00 given up by DO_NOT_EXERCISE 2 {PUT}"]


@pytest.mark.parametrize(
    ("holds", "kind", "symbol", "close"),
    [
        ({"AAPL": 100, series(LATER, "C", 105): -1}, "EXERCISE", PUT, "115"),
        ({series(LATER, "C", 105): -1}, "DO_NOT_EXERCISE", CALL, "100"),
        ({"AAPL": -100, series(LATER, "P", 90): -1}, "EXERCISE", SHORT_CALL, "100"),
    ],
    ids=["a put takes the shares", "a call does not bring them", "a call takes the short shares"],
)
def test_what_leaves_less_cover_than_doing_nothing_is_worse(
    holds: dict[str, int], kind: str, symbol: str, close: str
) -> None:
    compared = against(close, {**holds, symbol: 1}, row(kind, symbol, 1))
    assert [now.uncovered - was.uncovered for was, now in compared.worse] == [1]
    assert not compared.perhaps_worse


def test_without_a_price_it_may_be_worse_at_some_closes_only() -> None:
    holds = {"AAPL": 100, series(LATER, "C", 105): -1, PUT: 1}
    compared = against(None, holds, row("EXERCISE", PUT, 1))
    assert not compared.worse
    assert [now.uncovered for _, now in compared.perhaps_worse] == [1]


def test_instructions_that_stand_already_belong_to_doing_nothing() -> None:
    holds = {"AAPL": 100, series(LATER, "C", 105): -1, PUT: 2}
    compared = against("115", holds, row("EXERCISE", PUT, 1), told=(Told("EXERCISE", PUT, 1),))
    assert (compared.worse, compared.perhaps_worse) == ((), ())  # the shares are gone already
    assert [(each.name, each.shares) for each in compared.more_short_shares] == [("AAPL", 100)]


SPREAD = {"AAPL": 100, CALL: 1, SHORT_CALL: -2}


@pytest.mark.parametrize(
    ("close", "by_assignment", "certain"), [("110", True, True), ("100", None, None), (None, True, False)]
)
def test_withholding_the_call_that_meets_an_assignment_leaves_shares_short(
    close: str | None, *, by_assignment: bool | None, certain: bool | None
) -> None:
    compared = against(close, SPREAD, row("DO_NOT_EXERCISE", CALL, 1))
    found = [(each.shares, each.by_assignment, each.is_certain) for each in compared.more_short_shares]
    assert found == ([] if by_assignment is None else [(100, by_assignment, certain)])


def test_shares_sold_short_by_choice_are_not_the_work_of_an_assignment() -> None:
    (more,) = against("115", {PUT: 1}, row("EXERCISE", PUT, 1)).more_short_shares
    assert (more.shares, more.by_assignment) == (100, False)


def test_an_early_exercise_is_compared_with_keeping_the_option() -> None:
    put = series(LATER, "P", 110)
    compared = against("100", {"AAPL": 100, series(LATER, "C", 105): -1, put: 1}, row("EXERCISE", put, 1))
    assert [now.uncovered for _, now in compared.worse] == [1]


@pytest.mark.parametrize(
    ("kind", "symbol", "close", "least", "most"),
    [
        ("DO_NOT_EXERCISE", CALL, "100", 500, 500),
        ("DO_NOT_EXERCISE", CALL, "95", 0, 0),
        ("DO_NOT_EXERCISE", CALL, "90", 0, 0),
        ("DO_NOT_EXERCISE", CALL, "95.005", 0, 0),
        ("EXERCISE", CALL, "100", 0, 0),
        ("EXERCISE", CALL, "90", 500, 500),
        ("EXERCISE", PUT, "112", 200, 200),
        ("CONTRARY_EXERCISE", CALL, "90", 500, 500),
        ("CONTRARY_EXERCISE", CALL, "100", 0, 500),
    ],
)
def test_what_an_instruction_gives_up_against_the_close(
    kind: str, symbol: str, close: str, least: int, most: int
) -> None:
    (given_up,) = against(close, {symbol: 1}, row(kind, symbol, 1)).given_up
    assert (given_up.least, given_up.most) == (least, most)
    assert bool(given_up.said) == bool(most)


def test_exercising_a_call_marked_at_a_cent_is_called_out_in_dollars_without_an_underlyings_price() -> None:
    call = series(TODAY, "C", 200)
    given_up = marked("0.01", {call: 1}, row("EXERCISE", call, 1))
    assert (given_up.worth_at_most, given_up.least, given_up.most) == (1, 0, 19_999)
    assert given_up.said == (
        f"EXERCISE 1 {call} gives up at most 19,999.00: it is worth at most 1.00 by the option's own price, as the "
        "underlying's close is not known"
    )


def test_the_option_that_is_not_exercised_is_what_would_have_been_worth_something() -> None:
    call = series(TODAY, "C", 200)
    assert marked("12", {call: 1}, row("DO_NOT_EXERCISE", call, 1)).said == (
        f"DO_NOT_EXERCISE 1 {call} gives up at most 1,200.00: exercising is worth at most 1,200.00 by the option's own "
        "price, as the underlying's close is not known"
    )


@pytest.mark.parametrize(
    ("kind", "right", "price", "least", "most"),
    [
        ("DO_NOT_EXERCISE", "C", "12", 0, 1_200),
        ("DO_NOT_EXERCISE", "C", "205", 500, 20_500),
        ("DO_NOT_EXERCISE", "P", "12", 0, 1_200),
        ("EXERCISE", "C", "205", 0, 0),
        ("EXERCISE", "P", "0.01", 0, None),
        ("CONTRARY_EXERCISE", "C", "0.01", 0, 19_999),
        ("CONTRARY_EXERCISE", "C", "205", 0, 20_500),
    ],
)
def test_an_american_options_own_price_bounds_what_is_given_up(
    kind: str, right: str, price: str, least: int, most: int | None
) -> None:
    option = series(TODAY, right, 200)
    given_up = marked(price, {option: 1}, row(kind, option, 1))
    assert (given_up.least, given_up.most) == (least, most)


@pytest.mark.parametrize("symbol", ["AAPL1261120C00100000", "SPXW261120C06000000"])
def test_what_an_adjusted_or_a_european_option_gives_up_has_no_such_bound(symbol: str) -> None:
    given_up = marked("0.01", {symbol: 1}, row("EXERCISE", symbol, 1))
    assert (given_up.least, given_up.most) == (0, None)
    assert given_up.said.endswith("gives up what is not known")


def compared_at(price: str, holds: dict[str, int], *rows: Row, at: str = "15:00") -> ComparedWithInaction:
    """By the latest price before the close, or after it by the close that the book shows."""
    afternoon = Afternoon(holds=holds, closes={"AAPL": price}, at=at)
    known = facts(afternoon, latest=latest(afternoon), closes=given(afternoon))
    return against_nothing(known, FRIDAY, rows)


AT_100 = series(TODAY, "C", 100)
DEPENDING = {AT_100: 1, series(LATER, "C", 110): -1}


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("price", "worse", "perhaps"),
    [("100", 0, 1), ("99.60", 0, 1), ("100.40", 1, 0), ("99.40", 0, 0), ("100.60", 1, 0)],
    ids=["at it", "under it", "over it", "too far under", "too far over"],
)
def test_cover_is_judged_on_both_sides_of_a_strike_too_near_to_call(price: str, worse: int, perhaps: int) -> None:
    compared = compared_at(price, DEPENDING, row("DO_NOT_EXERCISE", AT_100, 1))
    assert (len(compared.worse), len(compared.perhaps_worse)) == (worse, perhaps)


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("holds", "kind", "symbol"),
    [
        ({AT_100: -1, CALL: 1}, "DO_NOT_EXERCISE", CALL),
        ({"AAPL": 100, AT_100: -1}, "EXERCISE", series(LATER, "P", 110)),
    ],
    ids=["the long leg given up", "the shares put away early"],
)
@pytest.mark.parametrize("at", ["15:00", "16:20"])
def test_short_shares_that_a_near_short_call_may_leave_are_named_as_uncertain(
    holds: dict[str, int], kind: str, symbol: str, at: str
) -> None:
    """Also once the close is known: its holder may still decide."""
    compared = compared_at("99.90", holds | {symbol: 1}, row(kind, symbol, 1), at=at)
    (short,) = compared.more_short_shares
    assert (short.shares, short.by_assignment, short.is_certain) == (100, True, False)


@pytest.mark.requirement("G-12")
def test_a_close_that_is_known_leaves_an_own_long_option_in_no_doubt() -> None:
    compared = compared_at("99.90", DEPENDING, row("DO_NOT_EXERCISE", AT_100, 1), at="16:20")
    assert (compared.worse, compared.perhaps_worse) == ((), ())


@pytest.mark.parametrize("at", ["15:00", "16:20", "17:25"])
@pytest.mark.parametrize(("symbol", "lost"), [("AAPL261218C00080000", 0), ("AAPL261218C00110000", 1_000)])
def test_an_early_exercise_goes_by_the_latest_price_also_after_the_close(symbol: str, at: str, lost: int) -> None:
    """The close of the day decides nothing of it, and the book may not show one."""
    afternoon = Afternoon(holds={symbol: 2, CALL: 1}, closes={"AAPL": "100"}, at=at)
    compared = against_nothing(facts(afternoon, latest=latest(afternoon)), FRIDAY, [row("EXERCISE", symbol, 1)])
    assert (compared.gives_up_least, compared.gives_up_most) == (lost, lost)
    assert compared.then.underlyings[0].price.price == (Decimal(100) if at == "15:00" else None)
