"""What the preview of a batch of instructions catches, with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.instruction_samples import answer_to, book, position, target, uuid_of
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.exercise.rows import CheckedBatch, CheckedRow, InstructionRow, RowRule
from positions_mcp.domain.exercise.rules import MOST_ROWS, BatchRules
from positions_mcp.market_calendar import NewYorkCalendar

CALENDAR = NewYorkCalendar()
FRIDAY = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
"""15:00 in New York on an ordinary Friday."""
CALL = "AAPL261120C00195000"
LATER = "AAPL261218P00200000"


def held(**fields: object) -> Position:
    """Five calls that expire this Friday."""
    return position(CALL, fields.pop("quantity", 5), 1, **fields)


def check(*rows: InstructionRow, of: Book | None = None, listed: list[Instruction] | None = None, **more: object):
    given = {"now": FRIDAY, "calendar": CALENDAR, "deadline": DeadlineRule()} | more
    return BatchRules(book=of or book(held(), position(LATER, 5, 2)), listed=listed or [], **given).check(rows)


def ask(instrument: str = CALL, kind: str = "EXERCISE", quantity: str = "1", key: str | None = None) -> InstructionRow:
    return InstructionRow(instrument=instrument, instruction_type=kind, quantity=quantity, instruction_id=key)


def rules(checked: CheckedRow) -> list[RowRule]:
    return [finding.rule for finding in checked.findings]


def only(batch: CheckedBatch) -> CheckedRow:
    assert batch.findings == ()
    (row,) = batch.rows
    return row


def listed(quantity: int, status: str = "SENT", *, kind: str = "EXERCISE", **fields: object) -> Instruction:
    """An instruction the account already has on the call."""
    row = target(1, quantity=quantity, kind=kind).model_copy(update={"instrument_id": uuid_of(1, 3)})
    return answer_to(row, status, symbol=CALL, **fields)


def selling(order_id: str, quantity: int) -> Order:
    """An open order to sell some of the calls."""
    row = {"id": order_id, "account_id": 19816, "status": "NEW", "side": "SELL", "leaves_quantity": quantity}
    return Order.model_validate(row | {"instrument_id": uuid_of(1, 3), "symbol": CALL})


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(
    "spelling", [CALL, "AAPL  261120C00195000", " aapl 261120 C 00195000", uuid_of(1, 3), uuid_of(1, 3).upper()]
)
@pytest.mark.parametrize("kind", ["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"])
def test_a_sound_row_names_the_contract_by_uuid_in_any_spelling(spelling: str, kind: str) -> None:
    row = only(check(ask(spelling, kind, "5")))
    assert row.is_valid
    assert row.warnings == ()
    assert row.position is not None
    assert (row.position.instrument_id, row.instruction_type, row.quantity) == (uuid_of(1, 3), kind, 5)
    assert row.asked.instruction_id is None


@pytest.mark.requirement("I-02")
def test_a_key_the_caller_gave_is_kept() -> None:
    assert only(check(ask(key="mine"))).asked.instruction_id == "mine"


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(
    "quantity",
    [
        "0",
        "-1",
        "+1",
        "1.5",
        "1.0",
        "1e3",
        " 1",
        "1 ",
        "01",
        "",
        "1_000",
        "1,000",
        "٣",
        "1٣",
        "３",
        "²",
        "one",
        "0x1",
        "NaN",
        "9" * 5000,
    ],
)
def test_a_quantity_that_is_not_a_plain_whole_number_is_caught(quantity: str) -> None:
    row = only(check(ask(quantity=quantity)))
    assert rules(row) == [RowRule.QUANTITY_NOT_WHOLE]


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("quantity", ["6", str(10**18)])
def test_more_than_is_held_is_caught(quantity: str) -> None:
    row = only(check(ask(quantity=quantity)))
    assert rules(row) == [RowRule.INSUFFICIENT_POSITION]
    assert f"asked {quantity}, available 5" in row.findings[0].message


@pytest.mark.requirement("I-03", "G-13")
@pytest.mark.parametrize(
    ("orders", "instructions", "said"),
    [
        ([selling("o-1", 3)], [], "(held 5, locked: 3 by open orders: order o-1 (SELL 3))"),
        ([], [listed(3, "ACCEPTED")], "(held 5, locked: 3 by the exercise instruction EXERCISE 3 ACCEPTED, id "),
        ([selling("o-1", 1)], [listed(2)], "locked: 1 by open orders: order o-1 (SELL 1); 2 by the exercise instruc"),
        ([], [], "locked: 3 by nothing that the orders and instructions read explain)"),
    ],
    ids=["an order", "an instruction", "both", "neither"],
)
def test_what_locks_contracts_is_named_and_an_instruction_is_not_called_an_order(
    orders: list[Order], instructions: list[Instruction], said: str
) -> None:
    held_in_part = book(held(available_quantity="2"))
    row = only(check(ask(quantity="4"), of=held_in_part, listed=instructions, open_orders=orders))
    assert said in row.findings[0].message


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("kind", ["", "EXERCISES", "DNE", "ABANDON", "EXERCISE!"])
def test_an_unknown_type_is_caught_and_the_known_ones_are_named(kind: str) -> None:
    row = only(check(ask(kind=kind)))
    assert rules(row) == [RowRule.UNKNOWN_TYPE]
    assert "EXERCISE, DO_NOT_EXERCISE, CONTRARY_EXERCISE" in row.findings[0].message


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(
    ("holding", "instrument", "rule"),
    [
        (position("AAPL", 100, 0), "AAPL", RowRule.NOT_AN_OPTION),
        (position(CALL, -3, 1), CALL, RowRule.SHORT_POSITION),
        (position(CALL, 0, 1), CALL, RowRule.NOT_HELD),
        (position(CALL, 5, 1), "MSFT261120C00195000", RowRule.NOT_HELD),
        (position(CALL, 5, 1), uuid_of(9, 9), RowRule.NOT_HELD),
        (position(CALL, 5, 1), "", RowRule.NOT_HELD),
        (position(CALL, 5, 1), "../positions", RowRule.NOT_HELD),
        (position("AAPL261113C00195000", 5, 1), "AAPL261113C00195000", RowRule.EXPIRED),
        (position("", 5, 1, instrument_type="OPTION"), uuid_of(1, 3), RowRule.UNRESOLVED_CONTRACT),
    ],
)
def test_an_instrument_that_cannot_be_exercised_is_caught(holding: Position, instrument: str, rule: RowRule) -> None:
    assert rules(only(check(ask(instrument), of=book(holding)))) == [rule]


@pytest.mark.requirement("I-03")
def test_a_name_that_several_contracts_share_is_caught() -> None:
    twice = book(held(), position(CALL, 2, 2))
    row = only(check(ask(), of=twice))
    assert rules(row) == [RowRule.AMBIGUOUS]
    assert uuid_of(2, 3) in row.findings[0].message


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(("count", "rule"), [(0, RowRule.NO_ROWS), (MOST_ROWS + 1, RowRule.TOO_MANY_ROWS)])
def test_a_batch_of_the_wrong_size_is_caught_as_a_whole(count: int, rule: RowRule) -> None:
    batch = check(*[ask()] * count)
    assert [finding.rule for finding in batch.findings] == [rule]
    assert not batch.is_valid


@pytest.mark.requirement("I-03")
def test_a_batch_of_a_thousand_rows_is_checked() -> None:
    symbols = [f"AAPL261120C{strike * 1000:08d}" for strike in range(1, MOST_ROWS + 1)]
    holdings = book(*(position(symbol, 1, number) for number, symbol in enumerate(symbols, start=1)))
    batch = check(*(ask(symbol) for symbol in symbols), of=holdings)
    assert batch.is_valid
    assert len(batch.rows) == MOST_ROWS


@pytest.mark.requirement("I-03")
def test_a_repeated_row_is_caught_on_the_later_one_in_any_spelling() -> None:
    first, second = check(ask(), ask("AAPL  261120C00195000", quantity="2")).rows
    assert rules(first) == []
    assert rules(second) == [RowRule.REPEATED_ROW]
    assert "Row 1" in second.findings[0].message


@pytest.mark.requirement("I-03")
def test_rows_of_two_types_on_one_contract_share_what_is_available() -> None:
    enough = check(ask(quantity="3"), ask(kind="DO_NOT_EXERCISE", quantity="2"))
    too_much = check(ask(quantity="3"), ask(kind="DO_NOT_EXERCISE", quantity="3"))
    assert enough.is_valid
    assert [rules(row) for row in too_much.rows] == [[], [RowRule.INSUFFICIENT_POSITION]]
    assert "3 in rows above" in too_much.rows[1].findings[0].message


@pytest.mark.requirement("I-02", "I-03")
def test_a_key_used_twice_in_the_batch_is_caught() -> None:
    first, second = check(ask(key="k"), ask(LATER, key="k")).rows
    assert rules(first) == []
    assert rules(second) == [RowRule.REUSED_KEY]


@pytest.mark.requirement("I-02", "I-03")
@pytest.mark.parametrize("status", ["SENT", "REJECTED", "CANCELLED"])
def test_a_key_of_an_instruction_already_listed_is_caught_with_its_id(status: str) -> None:
    row = only(check(ask(key="key-1"), listed=[listed(1, status)]))
    assert rules(row) == [RowRule.REUSED_KEY]
    assert listed(1).id in row.findings[0].message


@pytest.mark.requirement("I-02", "T-01")
@pytest.mark.parametrize("key", ["", " ", "a b", "k\n", "\u202ek", "k" * 129])
def test_a_key_that_could_not_be_echoed_plainly_is_caught(key: str) -> None:
    assert rules(only(check(ask(key=key)))) == [RowRule.UNUSABLE_KEY]


@pytest.mark.requirement("I-03", "G-13")
def test_contracts_locked_by_open_orders_are_not_available() -> None:
    row = only(check(ask(quantity="4"), of=book(held(available_quantity="3"))))
    assert rules(row) == [RowRule.INSUFFICIENT_POSITION]
    assert "asked 4, available 3 (held 5, locked: 2 by open orders)" in row.findings[0].message


@pytest.mark.requirement("I-03")
def test_an_available_quantity_the_api_does_not_give_is_said_and_the_held_one_counts() -> None:
    unknown = book(held(available_quantity=None))
    assert only(check(ask(quantity="5"), of=unknown)).is_valid
    assert "does not say how many" in only(check(ask(quantity="5"), of=unknown)).warnings[0]
    assert rules(only(check(ask(quantity="6"), of=unknown))) == [RowRule.INSUFFICIENT_POSITION]


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("status", ["SENT", "ACCEPTED", "CANCEL_REQUESTED", "CANCEL_FAILED", "UNKNOWN", "NEW_IN_2027"])
def test_contracts_already_under_instruction_are_not_instructed_again(status: str) -> None:
    already = [listed(4, status, kind="DO_NOT_EXERCISE")]
    assert only(check(ask(quantity="1"), listed=already)).is_valid
    row = only(check(ask(quantity="2"), listed=already))
    assert rules(row) == [RowRule.ALREADY_INSTRUCTED]
    assert f"DO_NOT_EXERCISE 4 {status}" in row.findings[0].message


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize("status", ["REJECTED", "ENGINE_REJECTED", "CANCELLED"])
def test_instructions_that_ended_without_effect_claim_nothing(status: str) -> None:
    assert only(check(ask(quantity="5"), listed=[listed(5, status)])).is_valid


@pytest.mark.requirement("I-03")
def test_an_accepted_instruction_claims_what_was_accepted_until_the_next_session() -> None:
    today = listed(5, "ACCEPTED", accepted_quantity="2", updated_at="2026-11-20T15:00:00Z")
    before = listed(5, "ACCEPTED", accepted_quantity="2", updated_at="2026-11-19T15:00:00Z")
    assert rules(only(check(ask(quantity="4"), listed=[today]))) == [RowRule.ALREADY_INSTRUCTED]
    assert only(check(ask(quantity="3"), listed=[today])).is_valid
    assert only(check(ask(quantity="5"), listed=[before])).is_valid


@pytest.mark.requirement("I-03")
def test_over_a_weekend_what_friday_accepted_still_claims_its_contracts() -> None:
    friday = listed(5, "ACCEPTED", updated_at="2026-11-20T15:00:00Z").model_copy(
        update={"instrument_id": uuid_of(2, 3)}
    )
    saturday, monday = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=3)
    assert rules(only(check(ask(LATER), listed=[friday], now=saturday))) == [RowRule.ALREADY_INSTRUCTED]
    assert only(check(ask(LATER), listed=[friday], now=monday)).is_valid


@pytest.mark.requirement("I-03")
def test_where_locked_and_instructed_contracts_may_be_the_same_the_doubt_is_said() -> None:
    row = only(check(ask(quantity="3"), of=book(held(available_quantity="3")), listed=[listed(2)]))
    assert row.is_valid
    assert "may count them against the 3 available" in row.warnings[0]


@pytest.mark.requirement("I-03")
def test_an_instruction_of_unknown_size_is_said() -> None:
    row = only(check(ask(), listed=[listed(1).model_copy(update={"quantity": None})]))
    assert "no readable quantity" in row.warnings[0]


@pytest.mark.requirement("I-03")
def test_what_could_not_be_read_is_said() -> None:
    rules = BatchRules(
        book=book(held(), consistent=False), listed=None, now=FRIDAY, calendar=CALENDAR, deadline=DeadlineRule()
    )
    unread = rules.check([ask()])
    assert len(unread.warnings) == 2


@pytest.mark.requirement("I-03")
def test_an_index_option_is_called_out() -> None:
    row = only(check(ask(), of=book(held(underlying_instrument_type="INDEX"))))
    assert "settled in cash" in row.warnings[0]


@pytest.mark.requirement("I-03", "T-01")
def test_one_row_gets_every_reason_that_stands_against_it() -> None:
    row = only(check(ask("AAPL\n\u202e", "DNE", "1.5", "a b")))
    assert set(rules(row)) == {RowRule.UNKNOWN_TYPE, RowRule.QUANTITY_NOT_WHOLE, RowRule.UNUSABLE_KEY, RowRule.NOT_HELD}
    assert all("\n" not in finding.message and "\u202e" not in finding.message for finding in row.findings)
