"""The batch report adds up for any mixture of returned, missing, repeated, reordered and unexpected rows."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.instruction_samples import ACCOUNT, answer_to, outcomes, planned, responded, target, uuid_of
from positions_mcp.domain.batch.report import SubmitAnswer, batch_report
from positions_mcp.domain.batch.rows import NextStep, RowOutcome
from positions_mcp.domain.errors import Sent
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import NIL_UUID
from positions_mcp.domain.operation.plan import InstructionTarget
from positions_mcp.domain.operation.records import UnreadableRow

STATUSES = ["SENT", "ACCEPTED", "REJECTED", "ENGINE_REJECTED", "UNKNOWN", "CANCELLED", "NEW_IN_2027"]
ANSWER_STATUSES = [200, 202, 207, 302, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504]
KINDS = ["EXERCISE", "DO_NOT_EXERCISE"]


@dataclass(frozen=True)
class Submitted:
    """A batch and an answer to it; the answer may be anything."""

    rows: list[InstructionTarget]
    answered: list[Instruction]
    unreadable: tuple[UnreadableRow, ...]
    status: int

    @property
    def answer(self) -> SubmitAnswer:
        return responded(self.answered, self.status, unreadable=self.unreadable)


@st.composite
def batches(draw: st.DrawFn) -> list[InstructionTarget]:
    """Rows that may share contracts and even keys."""
    count = draw(st.integers(1, 6))
    return [
        target(
            index,
            contract=draw(st.integers(0, 3)),
            key=f"key-{draw(st.sampled_from([index, index, 0]))}",
            quantity=draw(st.integers(1, 3)),
            kind=draw(st.sampled_from(KINDS)),
        )
        for index in range(count)
    ]


@st.composite
def answered_rows(draw: st.DrawFn, row: InstructionTarget) -> Instruction:
    """An answer to a row: any status, perhaps without id, key, contract or quantity, perhaps for another one."""
    fields = {}
    if draw(st.booleans()):
        fields["id"] = draw(st.sampled_from([NIL_UUID, uuid_of(1), uuid_of(2)]))
    if draw(st.integers(0, 3)) == 0:
        fields["instruction_id"] = draw(st.sampled_from([None, "key-0", "key-1", "the server's"]))
    if draw(st.integers(0, 3)) == 0:
        fields["instrument_id"] = draw(st.sampled_from([None, uuid_of(0, 1), uuid_of(9, 9)]))
        fields["symbol"] = draw(st.sampled_from(["", row.symbol]))
    if draw(st.integers(0, 4)) == 0:
        fields["quantity"] = draw(st.sampled_from([None, "1", "2.5"]))
    if draw(st.integers(0, 6)) == 0:
        fields["account_id"] = 7
    return answer_to(row, draw(st.sampled_from(STATUSES)), **fields)


@st.composite
def submissions(draw: st.DrawFn) -> Submitted:
    rows = draw(batches())
    chosen = draw(st.lists(st.sampled_from(range(len(rows))), max_size=9))
    answered = [draw(answered_rows(rows[index])) for index in chosen]
    places = draw(st.sets(st.integers(0, len(answered) + 1), max_size=2))
    unreadable = tuple(UnreadableRow(position=place, reason="no", raw=None) for place in sorted(places))
    return Submitted(rows, answered, unreadable, draw(st.sampled_from(ANSWER_STATUSES)))


@pytest.mark.requirement("I-01")
@settings(max_examples=60)
@given(submissions())
def test_every_row_ends_in_exactly_one_outcome_and_every_answered_row_is_used_once(submitted: Submitted) -> None:
    result = batch_report(submitted.rows, submitted.answer, account_id=ACCOUNT)
    assert [row.key for row in result.rows] == [row.instruction_key for row in submitted.rows]
    assert sum(result.counts.values()) == len(submitted.rows)
    assert result.counts[RowOutcome.NOT_SENT] == 0
    answering = sum(row.status is not None for row in result.rows)
    assert answering + len(result.unexpected) == len(submitted.answered)
    assert len(result.unreadable) == len(submitted.unreadable)


@pytest.mark.requirement("I-01")
@settings(max_examples=60)
@given(submissions())
def test_the_first_line_names_every_outcome_with_its_count(submitted: Submitted) -> None:
    result = batch_report(submitted.rows, submitted.answer, account_id=ACCOUNT)
    assert f" of {len(submitted.rows)} " in result.headline
    for outcome, count in result.counts.items():
        if count:
            assert (
                f"{count} {outcome}" in result.headline
                or f"{count} of {len(submitted.rows)} {outcome}" in result.headline
            )


@pytest.mark.requirement("I-01")
@settings(max_examples=60)
@given(submissions())
def test_nothing_is_called_sent_or_accepted_that_the_answer_does_not_say_so_of(submitted: Submitted) -> None:
    result = batch_report(submitted.rows, submitted.answer, account_id=ACCOUNT)
    for row, asked in zip(result.rows, submitted.rows, strict=True):
        if row.outcome in (RowOutcome.SENT, RowOutcome.ACCEPTED):
            assert any(
                answered.status == row.status
                and answered.id == row.server_id != NIL_UUID
                and answered.account_id == ACCOUNT
                and answered.instruction_type == asked.instruction_type
                and answered.instrument_id in (None, asked.instrument_id)
                for answered in submitted.answered
            )


@pytest.mark.requirement("I-02", "G-05")
@settings(max_examples=60)
@given(submissions(), st.sampled_from([True, False, None]))
def test_a_new_key_is_offered_only_for_rows_known_to_be_refused(submitted: Submitted, known: bool | None) -> None:
    result = batch_report(submitted.rows, submitted.answer, account_id=ACCOUNT, server_honours_keys=known)
    for row in result.rows:
        if row.next_step is NextStep.NEW_KEY:
            assert row.outcome is RowOutcome.REJECTED
        if row.next_step is NextStep.SAME_KEY and row.outcome is not RowOutcome.REJECTED:
            assert result.keys_honoured or (result.keys_honoured is None and known)


@pytest.mark.requirement("I-01")
@given(st.permutations(range(5)), st.lists(st.sampled_from(STATUSES[:4]), min_size=5, max_size=5), st.booleans())
def test_the_order_of_the_answer_does_not_matter(order: list[int], statuses: list[str], echoed: bool) -> None:
    rows = planned(5)
    key = {} if echoed else {"instruction_id": None}
    answered = [answer_to(rows[index], statuses[index], **key) for index in order]
    result = batch_report(rows, responded(answered), account_id=ACCOUNT)
    assert [row.status for row in result.rows] == statuses
    assert result.unexpected == ()


@pytest.mark.requirement("I-01")
@given(st.sets(st.integers(0, 4)), st.booleans())
def test_rows_left_out_are_missing_and_only_those(left_out: set[int], echoed: bool) -> None:
    rows = planned(5)
    key = {} if echoed else {"instruction_id": "the server's"}
    answered = [answer_to(row, **key) for index, row in enumerate(rows) if index not in left_out]
    result = batch_report(rows, responded(answered), account_id=ACCOUNT)
    assert {row.index for row in result.with_outcome(RowOutcome.MISSING)} == left_out


@pytest.mark.requirement("I-01")
@given(st.integers(0, 2), st.integers(1, 3))
def test_a_row_that_comes_back_again_alike_is_shown_and_changes_nothing(index: int, times: int) -> None:
    rows = planned()
    answered = [answer_to(row) for row in rows]
    result = batch_report(rows, responded(answered + [answered[index]] * times), account_id=ACCOUNT)
    assert outcomes(result) == ("sent",) * 3
    assert [row.repeats for row in result.unexpected] == [index] * times
    assert not any(row.deviation for row in result.rows)


@pytest.mark.requirement("I-01")
def test_a_row_that_comes_back_twice_and_differently_is_unknown() -> None:
    rows = planned(2)
    answered = [answer_to(rows[0]), answer_to(rows[0], "REJECTED"), answer_to(rows[1])]
    result = batch_report(rows, responded(answered), account_id=ACCOUNT)
    assert outcomes(result) == ("unknown", "sent")
    assert result.rows[0].next_step is NextStep.MUST_NOT


@pytest.mark.requirement("I-01")
def test_a_row_answered_under_two_ids_may_stand_twice() -> None:
    (row,) = planned(1)
    result = batch_report([row], responded([answer_to(row), answer_to(row, id=uuid_of(8))]), account_id=ACCOUNT)
    assert result.headline.startswith("DEVIATED")
    assert result.rows[0].next_step is NextStep.MUST_NOT


@pytest.mark.requirement("I-01")
def test_two_rows_answered_with_one_id_are_both_in_doubt() -> None:
    rows = planned(2)
    result = batch_report(rows, responded([answer_to(row, id=uuid_of(8)) for row in rows]), account_id=ACCOUNT)
    assert outcomes(result) == ("unknown", "unknown")


@pytest.mark.requirement("I-01")
def test_two_rows_under_one_key_are_told_apart_by_position_and_content() -> None:
    rows = [target(0, key="key-0"), target(1, key="key-0", kind="DO_NOT_EXERCISE"), target(2, contract=0, key="key-0")]
    answered = [
        answer_to(rows[0]),
        answer_to(rows[1], "REJECTED", id=NIL_UUID),
        answer_to(rows[2], "REJECTED", id=NIL_UUID),
    ]
    result = batch_report(rows, responded(answered), account_id=ACCOUNT)
    assert [row.status for row in result.rows] == ["SENT", "REJECTED", "REJECTED"]


@pytest.mark.requirement("I-01")
def test_of_rows_alike_the_one_at_its_own_place_is_matched_first() -> None:
    rows = [target(0, key="key-0"), target(1, key="key-0"), target(2, contract=1, key="key-0")]
    answered = [answer_to(rows[2], "REJECTED", id=NIL_UUID), answer_to(rows[1])]
    result = batch_report(rows, responded(answered), account_id=ACCOUNT)
    assert [row.status for row in result.rows] == [None, "SENT", "REJECTED"]


@pytest.mark.requirement("I-01")
def test_a_row_that_comes_back_again_does_not_answer_its_twin_under_another_key() -> None:
    rows = [target(0), target(1, contract=0)]
    result = batch_report(rows, responded([answer_to(rows[0])] * 2), account_id=ACCOUNT)
    assert outcomes(result) == ("sent", "missing")
    assert [row.repeats for row in result.unexpected] == [0]


@pytest.mark.requirement("I-01")
def test_a_row_under_our_key_for_another_contract_is_unexpected_and_stops_a_resubmission() -> None:
    rows = planned(2)
    stranger = answer_to(rows[0], instrument_id=uuid_of(9, 9), symbol="")
    result = batch_report(rows, responded([stranger, answer_to(rows[1])]), account_id=ACCOUNT)
    assert outcomes(result) == ("missing", "sent")
    assert len(result.unexpected) == 1
    assert result.rows[0].next_step is NextStep.MUST_NOT


@pytest.mark.requirement("I-01")
def test_a_row_of_another_account_answers_nothing() -> None:
    result = batch_report(planned(1), responded([answer_to(planned(1)[0], account_id=7)]), account_id=ACCOUNT)
    assert outcomes(result) == ("missing",)
    assert len(result.unexpected) == 1


@pytest.mark.requirement("I-01")
def test_rows_that_name_no_contract_are_placed_only_in_an_answer_of_full_length() -> None:
    rows = planned(2)
    bare = [answer_to(row, instrument_id=None, symbol="", instruction_id=None) for row in rows]
    assert outcomes(batch_report(rows, responded(bare), account_id=ACCOUNT)) == ("sent", "sent")
    assert outcomes(batch_report(rows, responded(bare[1:]), account_id=ACCOUNT)) == ("missing", "missing")


@pytest.mark.requirement("I-01")
@given(st.sampled_from(list(Sent)), st.sampled_from([None, *ANSWER_STATUSES]), batches())
def test_an_answer_without_rows_accounts_for_every_row_too(
    sent: Sent, status: int | None, rows: list[InstructionTarget]
) -> None:
    result = batch_report(rows, SubmitAnswer(sent=sent, status=status), account_id=ACCOUNT)
    assert sum(result.counts.values()) == len(rows)
    assert (result.counts[RowOutcome.NOT_SENT] > 0) is (sent is Sent.NO)
