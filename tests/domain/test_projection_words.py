"""A projection in words: what a person reads before deciding, short enough for an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time
from decimal import Decimal

import pytest

from evenings import FRIDAY, Afternoon, Told, facts, latest
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.inaction import against_nothing
from positions_mcp.domain.exercise.projection import ALWAYS_UNKNOWN, project
from positions_mcp.domain.exercise.words import compared_lines, projection_lines
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.paper.symbols import instrument_id_of

CALL, PUT, SHORT_CALL = "AAPL261120C00095000", "AAPL261120P00110000", "AAPL261120C00105000"
LATER_CALL = "AAPL261218C00105000"
COLLAR = {"AAPL": 200, SHORT_CALL: -2, PUT: 2}


@dataclass(frozen=True)
class Row:
    """A row of a batch."""

    instrument_id: InstrumentId
    instruction_type: InstructionType
    quantity: int


HEAD = "Evening of Fri 2026-11-20; instructions until 17:30 New York."
SETTLES = " Settles Mon 2026-11-23 (T+1)."
EITHER_SIDE = "strike 100 is too near to call: below it nothing moves, above it -100 shares, cash 10,000"


def row(kind: str, symbol: str, quantity: int) -> Row:
    return Row(InstrumentId(instrument_id_of(symbol)), InstructionType(kind), quantity)


def said(afternoon: Afternoon, *rows: Row, **more: object) -> tuple[str, ...]:
    known = facts(afternoon, latest=latest(afternoon), **more)
    return projection_lines(project(known, FRIDAY, batch=rows))


def compared(holds: dict[str, int], *rows: Row, price: str = "100", told: tuple[Told, ...] = ()) -> tuple[str, ...]:
    afternoon = Afternoon(holds=holds, closes=dict.fromkeys(("AAPL", "MSFT", "AMD"), price), told=told)
    return compared_lines(against_nothing(facts(afternoon, latest=latest(afternoon)), FRIDAY, rows))


@pytest.mark.requirement("I-06", "I-07")
def test_it_says_the_day_the_price_what_moves_the_sums_and_what_is_not_known() -> None:
    afternoon = Afternoon(
        holds={"AAPL": 10, CALL: 5, LATER_CALL: -7}, closes={"AAPL": "100"}, told=(Told("EXERCISE", CALL, 2),)
    )
    assert said(afternoon, buying_power=Decimal(20_000), cash=Decimal(50_000)) == (
        f"{HEAD} Prices: last trade, 2026-11-20 15:00 New York. The close at 16:00 New York decides.",
        "AAPL 100: 95C 5 (2 exercised on instruction, 3 exercised by exception). Shares 10 → 510, cash -47,500.",
        "  short AAPL calls afterwards: 2 uncovered, 2 unprotected",
        f"In all: cash -47,500 (50,000 → 2,500); needs 47,500, 27,500 more than the buying power of 20,000.{SETTLES}",
        f"Not known: the close, which decides; {'; '.join(ALWAYS_UNKNOWN)}.",
    )


@pytest.mark.requirement("I-06")
def test_the_sums_count_either_side_of_a_strike_that_is_too_near_to_call() -> None:
    afternoon = Afternoon(holds={"AAPL261120P00100000": -1, "AAPL261120C00095000": 1}, closes={"AAPL": "100.20"})
    (in_all,) = [each for each in said(afternoon, buying_power=Decimal(9_000)) if each.startswith("In all")]
    assert in_all == (
        f"In all: cash -9,500 (-19,500 to -9,500); needs 19,500, 10,500 more than the buying power of 9,000.{SETTLES}"
    )


@pytest.mark.requirement("I-06")
def test_a_short_leg_in_the_money_says_assigned_and_a_near_strike_both_sides() -> None:
    lines = said(Afternoon(holds={"AAPL": 100, "AAPL261120C00100000": -1}, closes={"AAPL": "100.20"}))
    assert lines[1:3] == (
        "AAPL 100.20: 100C -1 assigned. Shares 100 → 0, cash 10,000.",
        f"  {EITHER_SIDE}; holders of your short options decide",
    )


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize(("at", "decide"), [("17:00", "decide"), ("17:30", "have decided, which is not known yet")])
def test_other_holders_decide_as_long_as_the_rule_lets_them_also_where_the_own_broker_ends_sooner(
    at: str, decide: str
) -> None:
    afternoon = Afternoon(holds={"AAPL": 100, "AAPL261120C00100000": -1}, closes={}, at=at)
    lines = said(afternoon, closes={"AAPL": Decimal("100.20")}, deadline=DeadlineRule(time(16, 30)))
    assert lines[0].startswith("Evening of Fri 2026-11-20; instructions ended at 16:30 New York.")
    assert lines[2] == f"  {EITHER_SIDE}; holders of your short options {decide}"


@pytest.mark.requirement("I-07")
def test_where_the_close_is_not_known_the_outcomes_around_the_latest_price_are_given() -> None:
    lines = said(Afternoon(holds={"AAPL": 200, CALL: 1, PUT: 1}, closes={"AAPL": "100"}, at="16:20"))
    assert lines[1] == (
        "AAPL close not known, latest 100: 95C 1; 110P 1. Below 95.01: shares 200 → 100, cash 11,000 | "
        "from 95.01, up to 109.99: shares stay 200, cash 1,500 | above 109.99: shares 200 → 300, cash -9,500."
    )
    assert lines[0] == f"{HEAD} Prices: last trade, 2026-11-20 16:20 New York. The close at 16:00 New York decides."


@pytest.mark.requirement("I-06")
def test_what_is_not_stated_is_named_and_left_out_of_the_sums() -> None:
    lines = said(Afternoon(holds={"SPX261120C06000000": 1}, closes={"SPX": "6100"}))
    assert lines[1] == ("SPX opening settlement: 6000C 1. Not stated: SPX261120C06000000.")
    assert lines[0].endswith("The opening of 2026-11-20 decides.")
    assert lines[2] == f"In all: cash not known.{SETTLES}"
    both = {"SPX261120C06000000": 1, "AAPL261120C00190000": 1}
    (in_all,) = [each for each in said(Afternoon(holds=both, closes={"AAPL": "200"})) if each.startswith("In all")]
    assert in_all.startswith("In all: cash -19,000, without what is not stated")
    assert "an opening settlement, so the cash of AM-settled index options" in lines[3]


@pytest.mark.requirement("I-06", "I-07")
@pytest.mark.parametrize(
    ("holds", "at", "taken", "decides"),
    [
        (("SPX",), "09:00", "until 09:30 New York", "The opening of 2026-11-20 decides."),
        (("SPX",), "09:30", "ended at 09:30 New York", "The opening of 2026-11-20 decides."),
        (
            ("SPX", "SPXW"),
            "09:00",
            "until 17:30 New York (on what the opening settles until 09:30 New York)",
            "The close at 16:00 New York decides. The opening of 2026-11-20 decides what it settles.",
        ),
        (
            ("SPX", "AAPL"),
            "15:00",
            "until 17:30 New York (on what the opening settles ended at 09:30 New York)",
            "The close at 16:00 New York decides. The opening of 2026-11-20 decides what it settles.",
        ),
        (
            ("SPX", "AAPL"),
            "17:30",
            "ended at 17:30 New York (on what the opening settles ended at 09:30 New York)",
            "The close at 16:00 New York decides. The opening of 2026-11-20 decides what it settles.",
        ),
        (("SPXW",), "15:00", "until 17:30 New York", "The close at 16:00 New York decides."),
    ],
)
def test_the_last_moment_and_what_decides_are_those_of_the_options_that_end(
    holds: tuple[str, ...], at: str, taken: str, decides: str
) -> None:
    first, *_ = said(Afternoon(holds={f"{root}261120C00100000": 1 for root in holds}, closes={}, at=at))
    assert first == f"Evening of Fri 2026-11-20; instructions {taken}. {decides}"


@pytest.mark.requirement("I-07")
def test_of_an_early_exercise_alone_no_price_is_said_to_decide() -> None:
    afternoon = Afternoon(holds={LATER_CALL: 1}, closes={"AAPL": "110"}, told=(Told("EXERCISE", LATER_CALL, 1),))
    assert said(afternoon)[0] == f"{HEAD} Prices: last trade, 2026-11-20 15:00 New York."


@pytest.mark.requirement("I-07")
def test_no_price_is_told_where_an_opening_decides_and_the_closes_where_some_of_an_index_go_by_it() -> None:
    opening, close = "SPX261120C05900000", "SPXW261120C05900000"
    alone = said(Afternoon(holds={opening: 1}, closes={"SPX": "6000"}))
    assert (alone[0], alone[1].partition(":")[0]) == (
        "Evening of Fri 2026-11-20; instructions ended at 09:30 New York. The opening of 2026-11-20 decides.",
        "SPX opening settlement",
    )
    both = said(Afternoon(holds={opening: 1, close: 1}, closes={"SPX": "6000"}, at="16:20"))
    assert both[1].startswith("SPX close not known, latest 6000: ")


@pytest.mark.requirement("I-06")
def test_of_a_short_adjusted_contract_it_is_said_that_shares_are_not_counted_as_its_cover() -> None:
    afternoon = Afternoon(holds={"AAPL": 300, CALL: 1, "AAPL1261218C00105000": -1}, closes={"AAPL": "100"})
    known = facts(afternoon, latest=latest(afternoon))
    shares, call, adjusted = known.book.positions
    held = (shares, call, adjusted._replace(underlying_instrument_id=shares.instrument_id))
    lines = projection_lines(project(replace(known, book=replace(known.book, positions=held)), FRIDAY))
    (line,) = [each for each in lines if "AAPL1" in each]
    assert line.endswith("1 uncovered, 1 unprotected; no shares are counted, as what it delivers is not known")


@pytest.mark.requirement("I-06")
def test_what_only_a_near_strike_may_move_says_when_it_settles_and_what_moves_nothing_is_not_near() -> None:
    option = "AAPL261120C00100000"
    afternoon = Afternoon(holds={"AAPL": Decimal("10.50"), option: 1}, closes={"AAPL": "99.90"})
    lines = said(afternoon)
    assert lines[2] == "  strike 100 is too near to call: below it nothing moves, above it +100 shares, cash -10,000"
    assert lines[3].endswith(SETTLES)
    given_up = said(afternoon, row("DO_NOT_EXERCISE", option, 1))
    assert given_up[1:3] == ("AAPL 99.90: 100C 1 lapse.", "In all: cash 0.")
    exercised = said(afternoon, row("EXERCISE", option, 1))
    assert "Shares 10.5 → 110.5, cash -10,000" in exercised[1]


@pytest.mark.requirement("I-06")
def test_a_near_strike_that_changes_nothing_says_so_once() -> None:
    afternoon = Afternoon(holds={"AAPL261120C00100000": 1}, closes={"AAPL": "99.90"})
    batch = row("EXERCISE", "AAPL261120C00100000", 1)
    (line,) = [each for each in said(afternoon, batch) if "too near" in each]
    assert line == "  strike 100 is too near to call: on either side +100 shares, cash -10,000"


@pytest.mark.requirement("I-06")
def test_nothing_that_expires_is_one_sentence() -> None:
    (line,) = said(Afternoon(holds={"AAPL": 100}, closes={"AAPL": "100"}))
    assert line.endswith("Nothing expires and no exercise is under way.")


@pytest.mark.requirement("I-08")
def test_exercising_what_goes_anyway_says_that_it_is_as_if_nothing_is_sent() -> None:
    assert compared(COLLAR, row("EXERCISE", PUT, 2)) == (
        (
            "Tonight, AAPL: 105C -2 lapse; 110P 2 exercised by this batch; shares 200 → 0, cash 22,000, "
            "as if nothing is sent."
        ),
        f"In all: cash 22,000.{SETTLES}",
    )


@pytest.mark.requirement("I-08")
def test_what_a_batch_leaves_stands_beside_what_nothing_would_have_left() -> None:
    assert compared(COLLAR, row("DO_NOT_EXERCISE", PUT, 2)) == (
        "Tonight, AAPL: 105C -2 lapse; 110P 2 lapse; nothing moves, 200 shares.",
        "If nothing is sent: shares 200 → 0, cash 22,000.",
        "In all: cash 0.",
    )


@pytest.mark.requirement("I-08")
def test_less_cover_and_more_short_shares_than_doing_nothing_are_said() -> None:
    assert compared({"AAPL": 100, LATER_CALL: -1, PUT: 2}, row("EXERCISE", PUT, 2), price="115") == (
        "Leaves 1 more short AAPL calls uncovered than if nothing is sent.",
        "Up to 100 more AAPL shares short.",
        "Tonight, AAPL: 110P 2 exercised by this batch; shares 100 → -100, cash 22,000.",
        "If nothing is sent: nothing moves, 100 shares.",
        "AAPL: up to 100 shares short that are not now.",
        "AAPL: short AAPL calls afterwards: 1 uncovered, 1 unprotected.",
        f"In all: cash 22,000.{SETTLES}",
    )


@pytest.mark.requirement("I-04", "I-08")
def test_exercising_some_of_what_goes_anyway_says_how_many_are_exercised_in_all() -> None:
    first, _ = compared({"AAPL": 10, CALL: 5}, row("EXERCISE", CALL, 2))
    assert "95C 5 (2 exercised by this batch, 3 exercised by exception); shares 10 → 510, cash -47,500" in first
    assert first.endswith("as if nothing is sent.")


@pytest.mark.requirement("I-04", "I-08")
def test_a_put_that_an_instruction_and_a_batch_exercise_leaves_what_both_deliver() -> None:
    told = (Told("EXERCISE", PUT, 1),)
    _, line, other, *_ = compared({PUT: 3}, row("EXERCISE", PUT, 2), price="115", told=told)
    assert line.startswith(
        "Tonight, AAPL: 110P 3 (1 exercised on instruction, 2 exercised by this batch); shares 0 → -300"
    )
    assert other == "If nothing is sent: shares 0 → -100, cash 11,000."


@pytest.mark.requirement("I-04")
def test_what_a_batch_does_not_touch_is_said_once() -> None:
    holds = {"AAPL": 10, CALL: 5, "MSFT261120C00095000": 1, "AMD261120C00195000": 1}
    lines = compared(holds, row("EXERCISE", CALL, 2))
    assert "On MSFT it goes as if nothing is sent." in lines
    assert not any("AMD" in line for line in lines)


@pytest.mark.requirement("I-06")
def test_thirty_contracts_on_thirty_underlyings_fit_into_nine_hundred_tokens() -> None:
    roots = [f"{first}{second}Q" for first in "ABCDE" for second in "FGHIJK"]
    holds = {f"{r}261120{'CP'[i % 2]}{(90 + i) * 1000:08d}": (-1) ** i * (i % 7 + 1) for i, r in enumerate(roots)}
    text = "\n".join(said(Afternoon(holds=holds, closes=dict.fromkeys(roots, "101.37"))))
    assert all(root in text for root in roots)
    # A token of such a text is 2.4 characters or more: numbers are cut at every third digit.
    assert len(text) < 900 * 2.4


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize(
    ("held", "option", "quantity", "counted", "said_of_orders"),
    [
        (100, PUT, 1, 0, "  open orders may also sell 100 of the shares: not counted here"),
        (150, PUT, 1, 50, "  open orders may also sell 100 of the shares: not counted here"),
        (-100, CALL, 1, 0, "  open orders may also buy back 100 of the shares: not counted here"),
        (100, PUT, 1, 100, ""),
        (100, SHORT_CALL, 1, 0, ""),  # it lapses, and nothing moves beside the order
    ],
)
def test_shares_that_open_orders_may_trade_beside_the_evening_are_said(
    held: int, option: str, quantity: int, counted: int, said_of_orders: str
) -> None:
    afternoon = Afternoon(holds={"AAPL": held, option: quantity}, closes={"AAPL": "100"})
    lines = said(afternoon, counted={InstrumentId(instrument_id_of("AAPL")): Decimal(counted)})
    assert [line for line in lines if "open orders" in line] == ([said_of_orders] if said_of_orders else [])
