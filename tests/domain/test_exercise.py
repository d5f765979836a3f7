"""The consequence card: cash, shares, moneyness, exercise by exception, cover, and what could not be known."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exercise_samples import CALL, NOW, PUT, READ, card, option, shares, text
from domain.instruction_samples import book, position
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.quotes import Moneyness
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cards import CardRow
from positions_mcp.domain.exercise.consequences import consequence_cards


@pytest.mark.requirement("I-04", "A-01")
@pytest.mark.parametrize(
    ("symbol", "cash", "moved", "after"),
    [(CALL, "-39000", 200, 250), (PUT, "39000", -200, -150)],
)
def test_exercising_moves_strike_times_multiplier_times_quantity(
    symbol: str, cash: str, moved: int, after: int
) -> None:
    result = card(option(symbol), "EXERCISE", 2, shares(50))
    assert (result.strike, result.multiplier) == (195, 100)
    assert str(result.effect.cash) == cash
    assert (result.effect.shares, result.shares_after) == (moved, after)


@pytest.mark.requirement("I-04", "A-01")
@given(strike=st.integers(1, 99_999_999), quantity=st.integers(1, 10**6))
def test_cash_is_exact_for_every_strike_and_quantity(strike: int, quantity: int) -> None:
    result = card(option(f"AAPL261120C{strike:08d}", 10**6), "EXERCISE", quantity, shares())
    assert result.effect.cash == Decimal(-strike * quantity) / 10


@pytest.mark.requirement("I-04", "T-02")
def test_a_card_reads_as_sentences() -> None:
    assert card(option(PUT), "EXERCISE", 1, shares(50, "190")).lines == (
        "EXERCISE 1 AAPL261120P00195000 (strike 195, multiplier 100): receives 19,500.00, delivers 100 shares.",
        "Underlying 190, read at 15:00 New York (2 min ago); quote time not stated: in the money.",
        "Shares held afterwards: -50, a short position.",
        "If nothing is sent: at this price exercised today: receives 19,500.00, delivers 100 shares.",
        "Not known: the closing price, which decides exercise by exception.",
    )


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("symbol", "price", "where"),
    [
        (CALL, "195.01", Moneyness.IN),
        (CALL, "195", Moneyness.AT),
        (CALL, "194.99", Moneyness.OUT),
        (PUT, "194.99", Moneyness.IN),
        (PUT, "195.000", Moneyness.AT),
        (PUT, "195.01", Moneyness.OUT),
    ],
)
def test_moneyness_is_the_holders(symbol: str, price: str, where: Moneyness) -> None:
    assert card(option(symbol), "EXERCISE", 1, shares(0, price)).moneyness is where


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("symbol", "price", "exercised"),
    [
        (CALL, "195.01", True),
        (CALL, "195.009", False),
        (CALL, "195", False),
        (PUT, "194.99", True),
        (PUT, "194.995", False),
        (PUT, "200", False),
    ],
)
def test_exercise_by_exception_starts_a_cent_in_the_money(symbol: str, price: str, exercised: bool) -> None:
    by_exception = card(option(symbol), "DO_NOT_EXERCISE", 1, shares(0, price)).by_exception
    assert by_exception.exercised is exercised
    assert (by_exception.effect.shares != 0) is exercised
    assert ("expires worthless" in by_exception.said) is not exercised


@pytest.mark.requirement("I-04")
def test_exercise_by_exception_is_told_for_the_day_it_would_happen() -> None:
    later = card(option("AAPL261218C00195000"), "EXERCISE", 1, shares())
    assert "exercised at expiration" in later.by_exception.said
    assert "the price at expiration" in text(later)


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("kind", "price", "option_price", "given_up"),
    [
        ("DO_NOT_EXERCISE", "200.5", None, "1100.0"),
        ("DO_NOT_EXERCISE", "190", None, "0"),
        ("EXERCISE", "200.5", "5.50", "0"),
        ("EXERCISE", "200.5", "7.25", "350.00"),
        ("EXERCISE", "190", "0.10", "1020.00"),
        ("EXERCISE", "200.5", None, "0"),
    ],
)
def test_what_is_given_up_is_told_in_dollars(kind: str, price: str, option_price: str | None, given_up: str) -> None:
    """Intrinsic value for not exercising; time value and a strike worse than the market for exercising."""
    result = card(option(instrument_price=option_price), kind, 2, shares(0, price))
    assert result.gives_up == Decimal(given_up)
    assert ("Gives up" in text(result)) is (Decimal(given_up) > 0)


@pytest.mark.requirement("I-04")
def test_not_exercising_moves_nothing() -> None:
    result = card(option(), "DO_NOT_EXERCISE", 5, shares(50))
    assert (result.effect.cash, result.effect.shares, result.shares_after) == (0, 0, 50)
    assert "no cash, no shares" in result.lines[0]
    assert "Gives up the intrinsic value, 2,750.00" in text(result)


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(("price", "doubt"), [("200.5", True), ("195", True), (None, True), ("190", False)])
def test_contrary_exercise_is_shown_as_an_exercise_and_its_other_meaning_is_named(
    price: str | None, doubt: bool
) -> None:
    result = card(option(), "CONTRARY_EXERCISE", 1, shares(0, price))
    assert (result.effect.cash, result.effect.shares) == (-19500, 100)
    assert ("whether CONTRARY_EXERCISE exercises" in text(result)) is doubt


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    "others",
    [(), (shares(10, None),), (shares(10, "0"),), (shares(10, None, closing_price="200"),)],
    ids=["not held", "no price", "a price of zero", "a close without its day"],
)
def test_without_a_price_moneyness_and_exercise_by_exception_are_unknown(others: tuple[Position, ...]) -> None:
    result = card(option(), "EXERCISE", 1, *others)
    assert result.moneyness is Moneyness.UNKNOWN
    assert result.by_exception.exercised is None
    assert result.gives_up is None
    assert "the underlying's price, so moneyness and exercise by exception" in text(result)
    assert (result.effect.cash, result.effect.shares) == (-19500, 100)


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize(
    ("fields", "now", "said"),
    [
        ({}, READ, "200.5, read at 15:00 New York (just now); quote time not stated"),
        ({}, READ + timedelta(minutes=95), "200.5, read at 15:00 New York (95 min ago); quote time not stated"),
        ({}, READ + timedelta(hours=3), "200.5, read at 15:00 New York (3 h ago); quote time not stated"),
        (
            {"price": None, "closing_price": "199.00", "closing_price_date": "2026-11-19"},
            NOW,
            "199.00, the close of 2026-11-19",
        ),
    ],
)
def test_a_price_says_how_old_it_is(fields: dict[str, str], now: datetime, said: str) -> None:
    result = card(option(), "EXERCISE", 1, shares(**fields), now=now)
    assert result.price_said == said
    assert said in text(result)


@pytest.mark.requirement("I-04")
def test_an_adjusted_contract_says_that_its_deliverable_is_not_known() -> None:
    result = card(option("AAPL1261120C00195000"), "EXERCISE", 1, shares(50))
    assert (result.multiplier, result.effect.cash, result.effect.shares, result.shares_after) == (
        None,
        None,
        None,
        None,
    )
    assert "multiplier not known): cash and shares not known" in result.lines[0]
    assert "what this adjusted contract delivers" in text(result)


@pytest.mark.requirement("I-04")
def test_an_index_option_delivers_no_shares_and_its_cash_is_not_known() -> None:
    result = card(option("SPX261120C06000000", underlying_instrument_type="INDEX"), "EXERCISE", 1)
    assert (result.effect.cash, result.effect.shares, result.shares_after) == (None, 0, None)
    assert "the settlement value of the index" in text(result)


@pytest.mark.requirement("I-04")
def test_an_incomplete_book_leaves_the_share_position_unknown() -> None:
    result = card(option(), "EXERCISE", 1, shares(50), consistent=False)
    assert result.shares_after is None
    assert "the whole book" in text(result)


@pytest.mark.requirement("I-04")
def test_an_underlying_without_an_id_is_found_by_the_contracts_root() -> None:
    brk = position("BRK.B", 30, 0, instrument_price="500")
    result = card(option("BRKB261120C00450000", underlying_instrument_id=None), "EXERCISE", 1, brk)
    assert result.shares_after == 130


@pytest.mark.requirement("I-04")
def test_share_positions_count_the_rows_above() -> None:
    call, put, none = option(CALL, 5, 1), option(PUT, 5, 2), option("AAPL261120C00210000", 5, 3)
    rows = [
        CardRow(position=call, instruction_type=InstructionType.EXERCISE, quantity=2),
        CardRow(position=none, instruction_type=InstructionType.DO_NOT_EXERCISE, quantity=5),
        CardRow(position=put, instruction_type=InstructionType.EXERCISE, quantity=1),
    ]
    cards = consequence_cards(rows, book(call, put, none), now=NOW)
    assert [result.shares_after for result in cards] == [200, 200, 100]


@pytest.mark.requirement("I-04")
def test_a_row_whose_contract_cannot_be_read_has_no_card() -> None:
    with pytest.raises(ValueError, match="a contract that can be read"):
        card(option("", instrument_type="OPTION"))
