"""The consequence card: what an instruction, or its cancel, leaves uncovered and brings back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exercise_samples import CALL, NOW, PUT, READ, card, option, shares, text
from domain.instruction_samples import answer_to, book, target, uuid_of
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cards import CardRow
from positions_mcp.domain.exercise.consequences import (
    cancel_lines,
    consequence_cards,
    notional_of_instruction,
    quantities_after,
    with_underlyings,
)
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.portfolio.exposure import expected_quantities

SHORT_CALL = "AAPL261218C00210000"


@pytest.mark.requirement("I-04", "G-12")
def test_exercising_a_put_delivers_the_shares_that_cover_a_call() -> None:
    short = option(SHORT_CALL, -1, 2)
    result = card(option(PUT), "EXERCISE", 1, shares(100, "190"), short)
    assert [each.said for each in result.uncovers] == ["AAPL calls: 1 uncovered (now 0)"]
    assert "Leaves AAPL calls: 1 uncovered (now 0)." in result.lines
    assert result.by_exception.uncovers == result.uncovers
    assert card(option(PUT), "EXERCISE", 1, shares(200, "190"), short).uncovers == ()


@pytest.mark.requirement("I-04", "G-12")
def test_giving_up_a_call_that_covers_a_short_one_is_called_out() -> None:
    short = option("AAPL261120C00210000", -1, 2)
    result = card(option(quantity=1), "DO_NOT_EXERCISE", 1, shares(), short)
    assert [each.said for each in result.uncovers] == ["AAPL calls: 1 uncovered (now 0)"]
    assert result.by_exception.uncovers == ()
    out_of_the_money = card(option(quantity=1), "EXERCISE", 1, shares(0, "190"), short)
    assert out_of_the_money.uncovers == ()
    assert "expires worthless today; leaves AAPL calls: 1 uncovered (now 0)" in text(out_of_the_money)


@pytest.mark.requirement("I-04", "G-12")
@pytest.mark.parametrize("others", [(shares(),), ()], ids=["underlying held", "underlying not held"])
def test_exercising_the_call_of_a_spread_keeps_its_short_leg_covered_by_the_shares(
    others: tuple[Position, ...],
) -> None:
    assert card(option(quantity=1), "EXERCISE", 1, *others, option(SHORT_CALL, -1, 2)).uncovers == ()


@pytest.mark.requirement("I-04", "G-12")
def test_a_row_counts_the_cover_that_rows_above_have_taken() -> None:
    put, call, short = option(PUT, 1, 1), option(CALL, 1, 2), option(SHORT_CALL, -1, 3)
    rows = [
        CardRow(position=call, instruction_type=InstructionType.EXERCISE, quantity=1),
        CardRow(position=put, instruction_type=InstructionType.EXERCISE, quantity=1),
    ]
    first, second = consequence_cards(rows, book(put, call, short, shares()), now=NOW)
    assert first.uncovers == ()
    assert [each.said for each in second.uncovers] == ["AAPL calls: 1 uncovered (now 0)"]


@pytest.mark.requirement("G-12")
@given(
    st.lists(st.tuples(st.sampled_from([CALL, PUT]), st.booleans(), st.integers(1, 5)), min_size=1, max_size=6),
    st.integers(-500, 500),
)
def test_carrying_rows_out_conserves_contracts_and_shares(rows: list[tuple[str, bool, int]], held: int) -> None:
    options = [option(symbol, 5, number) for number, (symbol, _, _) in enumerate(rows, start=1)]
    asked = [
        CardRow(
            position=each,
            instruction_type=InstructionType.EXERCISE if exercises else InstructionType.DO_NOT_EXERCISE,
            quantity=quantity,
        )
        for each, (_, exercises, quantity) in zip(options, rows, strict=True)
    ]
    whole = with_underlyings(asked, book(*options, shares(held)))
    after = quantities_after(asked, whole, expected_quantities(whole, open_orders=()))
    cards = consequence_cards(asked, whole, now=NOW)
    assert [after[each.instrument_id] for each in options] == [5 - quantity for _, _, quantity in rows]
    assert after[uuid_of(0, 3)] == held + exact_sum(each.effect.shares or Decimal(0) for each in cards)
    assert after[uuid_of(0, 3)] == cards[-1].shares_after


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "kind", "price", "amount", "priced"),
    [
        (CALL, "EXERCISE", None, 39000, True),
        (PUT, "CONTRARY_EXERCISE", "200.5", 39000, True),
        (CALL, "DO_NOT_EXERCISE", "200.5", 1100, True),
        (PUT, "DO_NOT_EXERCISE", "200.5", 0, True),
        (CALL, "DO_NOT_EXERCISE", None, 0, False),
        ("AAPL1261120C00195000", "EXERCISE", "200.5", 39000, False),
    ],
)
def test_an_instruction_counts_for_the_money_it_moves_or_gives_up(
    *, symbol: str, kind: str, price: str | None, amount: int, priced: bool
) -> None:
    row = CardRow(position=option(symbol), instruction_type=InstructionType(kind), quantity=2)
    measure = notional_of_instruction(row, book(shares(0, price)))
    assert (measure.amount, measure.priced) == (amount, priced)


def cancelled(status: str = "SENT", kind: str = "DO_NOT_EXERCISE", **fields: object) -> str:
    row = target(1, quantity=2, kind=kind).model_copy(update={"instrument_id": uuid_of(1, 3)})
    instruction = answer_to(row, status, symbol=CALL, **fields)
    holdings: Book = book(option(), shares(), at=READ)
    return "\n".join(cancel_lines(instruction, holdings, now=NOW))


@pytest.mark.requirement("I-04", "I-05")
def test_cancelling_a_do_not_exercise_says_that_exercise_by_exception_is_back() -> None:
    assert (
        "Cancelling withdraws DO_NOT_EXERCISE 2 AAPL261120C00195000: exercise by exception is re-armed" in cancelled()
    )
    assert "If nothing else is sent: at this price exercised today: pays 39,000.00, receives 200 shares." in cancelled()


@pytest.mark.requirement("I-04")
@pytest.mark.parametrize("fields", [{"instrument_id": uuid_of(9, 9)}, {"instrument_id": None}, {"quantity": None}])
def test_cancelling_what_cannot_be_found_says_so(fields: dict[str, str | None]) -> None:
    assert "Not known: the contract or its position" in cancelled(**fields)
