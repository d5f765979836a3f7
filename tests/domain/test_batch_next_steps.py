"""The batch report: which rows may be submitted again, with which key, and what a later listing settles."""

from __future__ import annotations

import pytest

from domain.instruction_samples import (
    ACCOUNT,
    DIALECTS,
    PROBLEM,
    Dialect,
    answer_to,
    insufficient,
    outcomes,
    planned,
    rejected,
    report,
    responded,
    uuid_of,
)
from positions_mcp.domain.batch.report import SubmitAnswer, batch_report, followed
from positions_mcp.domain.batch.rows import KeyEcho, NextStep, RowOutcome
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.ids import NIL_UUID


@pytest.mark.requirement("I-02")
@pytest.mark.parametrize(
    ("key", "honoured", "echo"),
    [
        ("key-0", True, KeyEcho.ECHOED),
        ("a key of the server's own", False, KeyEcho.IGNORED),
        (None, False, KeyEcho.IGNORED),
    ],
)
def test_a_server_that_ignores_the_key_is_called_out(key: str | None, honoured: bool, echo: KeyEcho) -> None:
    result = report([answer_to(planned(1)[0], instruction_id=key)], 200, count=1)
    assert outcomes(result) == ("sent",)
    assert result.keys_honoured is honoured
    assert result.rows[0].key_echo is echo
    assert ("ignored the keys" in result.headline) is not honoured


@pytest.mark.requirement("I-02")
def test_a_refused_row_without_a_key_says_nothing_of_keys() -> None:
    (row,) = planned(1)
    refused = insufficient(row).model_copy(update={"instruction_id": None})
    assert report([refused], 400, count=1).keys_honoured is None


@pytest.mark.requirement("I-02", "G-05")
@pytest.mark.parametrize(
    ("echoed", "known", "step"),
    [
        (True, None, NextStep.SAME_KEY),
        (True, False, NextStep.SAME_KEY),
        (False, True, NextStep.MUST_NOT),
    ],
)
def test_a_missing_row_is_offered_again_only_where_the_echo_shows_that_keys_are_honoured(
    echoed: bool, known: bool | None, step: NextStep
) -> None:
    first, second = planned(2)
    back = answer_to(first, instruction_id=first.instruction_key if echoed else "other")
    result = batch_report([first, second], responded([back], 200), account_id=ACCOUNT, server_honours_keys=known)
    assert outcomes(result) == ("sent", "missing")
    assert result.rows[1].next_step is step
    assert "not proof" in result.rows[1].advice


@pytest.mark.requirement("I-02", "G-05")
@pytest.mark.parametrize(
    ("known", "step"), [(True, NextStep.SAME_KEY), (False, NextStep.MUST_NOT), (None, NextStep.MUST_NOT)]
)
def test_a_lost_answer_is_offered_again_only_to_a_server_known_to_honour_keys(
    known: bool | None, step: NextStep
) -> None:
    answer = SubmitAnswer.from_error(OutcomeUnknown("dropped"))
    result = batch_report(planned(1), answer, account_id=ACCOUNT, server_honours_keys=known)
    assert result.rows[0].next_step is step


@pytest.mark.requirement("I-02")
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("reason", "metadata", "status", "step", "said"),
    [
        (
            "INSUFFICIENT_POSITION",
            {"available": "2"},
            207,
            NextStep.NEW_KEY,
            "insufficient position (asked 5, available 2)",
        ),
        (
            "DNE_NOT_ON_EXPIRY",
            {"expiry": "2028-01-21", "business_date": "2026-11-20"},
            400,
            NextStep.NEW_KEY,
            "do-not-exercise is taken on the expiration day only (expires 2028-01-21, business date 2026-11-20)",
        ),
        (
            "CEA_NOT_ON_EXPIRY",
            {"expiry": "2028-01-21"},
            400,
            NextStep.NEW_KEY,
            "contrary exercise is taken on the expiration day only (expires 2028-01-21)",
        ),
        ("EXERCISE_PAST_CUTOFF", {"cutoff_time": "17:30"}, 400, NextStep.MUST_NOT, "past the cutoff (17:30)"),
        ("DUPLICATE_INSTRUCTION", {"existing_id": uuid_of(9)}, 409, NextStep.MUST_NOT, f"duplicate of {uuid_of(9)}"),
        ("DUPLICATE_INSTRUCTION", {}, 207, NextStep.MUST_NOT, "duplicate of an instruction that the API does not name"),
        ("OPTIONS_LEVEL_EXCEEDED", {}, 400, NextStep.MUST_NOT, "the account's options level does not allow it"),
    ],
)
def test_a_known_reason_says_what_may_be_done(
    *, dialect: Dialect, reason: str, metadata: dict[str, str], status: int, step: NextStep, said: str
) -> None:
    (row,) = planned(1)
    result = report([rejected(row, reason, "refused", dialect=dialect, **metadata)], status, count=1)
    assert (result.rows[0].said, result.rows[0].next_step, result.rows[0].reason_code) == (said, step, reason)
    assert result.rows[0].duplicate_of == metadata.get("existing_id")


@pytest.mark.requirement("I-02")
@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (
            "EXERCISE",
            "The position is too small: available=2, requested=5",
            "insufficient position (asked 5, available 2)",
        ),
        (
            "DO_NOT_EXERCISE",
            "Only taken on the day: expiry=2028-01-21, business_date=2026-11-20",
            "do-not-exercise is taken on the expiration day only (expires 2028-01-21, business date 2026-11-20)",
        ),
        ("EXERCISE", "Too late: cutoff_time=2026-11-20T17:30:00-05:00", "past the cutoff (2026-11-20T17:30:00-05:00)"),
        ("EXERCISE", f"Submitted before: existing_id={uuid_of(9)}", f"duplicate of {uuid_of(9)}"),
        ("EXERCISE", "Too few: available=2, requested=9", '"Too few: available=2, requested=9"'),
    ],
)
def test_where_a_reason_is_text_only_its_parameters_name_it(kind: str, text: str, said: str) -> None:
    (row,) = planned(1, kind=kind)
    answer = responded([answer_to(row, "ENGINE_REJECTED", id=NIL_UUID, rejection_reason=text)])
    assert batch_report([row], answer, account_id=ACCOUNT).rows[0].said == said


@pytest.mark.requirement("I-02")
def test_a_refusal_for_duplicates_says_so_even_where_the_row_does_not() -> None:
    (row,) = planned(1)
    result = report([rejected(row, "KEY_SEEN", "seen before", dialect="current")], 409, count=1)
    assert "already exists" in result.rows[0].advice


@pytest.mark.requirement("I-02")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reason_nobody_knows_is_quoted_and_left_to_a_person(dialect: Dialect) -> None:
    (row,) = planned(1)
    result = report([rejected(row, "MOON_PHASE", "the moon is full", dialect=dialect)], 207, count=1)
    assert result.rows[0].next_step is NextStep.MUST_NOT
    assert "the moon is full" in result.headline


@pytest.mark.requirement("I-02")
@pytest.mark.parametrize(
    ("status", "step"),
    [
        (400, NextStep.SAME_KEY),
        (401, NextStep.SAME_KEY),
        (403, NextStep.SAME_KEY),
        (404, NextStep.SAME_KEY),
        (409, NextStep.MUST_NOT),
        (410, NextStep.MUST_NOT),
        (422, NextStep.SAME_KEY),
        (429, NextStep.SAME_KEY),
        (503, NextStep.SAME_KEY),
    ],
)
def test_a_batch_refused_as_a_whole_never_gets_new_keys(status: int, step: NextStep) -> None:
    """One of its rows may be a duplicate that the API did not name: under a new key it would be taken twice."""
    assert {row.next_step for row in report([], status, error=PROBLEM).rows} == {step}


@pytest.mark.requirement("I-02")
def test_clearing_being_down_allows_the_same_key_unless_the_row_got_an_id() -> None:
    first, second = planned(2)
    down = rejected(first, "CLEARING_UNAVAILABLE", "down", dialect="current")
    recorded = rejected(second, "CLEARING_UNAVAILABLE", "down", dialect="current").model_copy(update={"id": uuid_of(7)})
    result = report([down, recorded], 503, count=2)
    assert [row.next_step for row in result.rows] == [NextStep.SAME_KEY, NextStep.MUST_NOT]


@pytest.mark.requirement("I-02")
def test_no_row_that_may_exist_upstream_is_ever_offered_under_a_new_key() -> None:
    first, second, third = planned()
    rows = [answer_to(first), answer_to(second, "UNKNOWN"), answer_to(third, "ACCEPTED", accepted_quantity="1")]
    for result in (report(rows, 200), report([], 200), report([], 500, error=PROBLEM), report([], 400, error=PROBLEM)):
        assert all(row.next_step is not NextStep.NEW_KEY for row in result.rows)


@pytest.mark.requirement("I-01", "I-05")
@pytest.mark.parametrize(
    ("listed", "outcome", "step"),
    [
        ("SENT", RowOutcome.SENT, NextStep.WAIT),
        ("ACCEPTED", RowOutcome.ACCEPTED, NextStep.NOTHING),
        ("REJECTED", RowOutcome.REJECTED, NextStep.MUST_NOT),
        ("UNKNOWN", RowOutcome.UNKNOWN, NextStep.MUST_NOT),
        ("CANCEL_REQUESTED", RowOutcome.SENT, NextStep.WAIT),
        ("CANCELLED", RowOutcome.SENT, NextStep.NOTHING),
        ("CANCEL_FAILED", RowOutcome.SENT, NextStep.MUST_NOT),
    ],
)
def test_a_later_listing_settles_rows_by_id_and_lost_ones_by_key(
    listed: str, outcome: RowOutcome, step: NextStep
) -> None:
    first, second = rows = planned(2)
    before = report([answer_to(first)], 200, count=2)
    after = followed(before, rows, [answer_to(first, listed), answer_to(second, listed)])
    assert [row.outcome for row in after.rows] == [outcome, outcome]
    assert {row.next_step for row in after.rows} == {step}


@pytest.mark.requirement("I-01", "G-05")
def test_not_being_listed_is_no_proof() -> None:
    first, second = rows = planned(2)
    before = report([answer_to(first)], 200, count=2)
    after = followed(before, rows, [])
    assert outcomes(after) == ("sent", "missing")
    assert after.rows[1].note
    assert "not proof" in after.rows[1].note
    assert after.rows[1].next_step is before.rows[1].next_step
    assert second.instruction_key == after.rows[1].key


@pytest.mark.requirement("I-01")
def test_an_old_instruction_under_the_same_key_does_not_settle_a_lost_row() -> None:
    rows = planned(1)
    before = report([], 200, count=1)
    after = followed(before, rows, [answer_to(rows[0], "ACCEPTED", quantity="1", accepted_quantity="1")])
    assert outcomes(after) == ("missing",)
