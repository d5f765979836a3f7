"""Instructions that are not this account's: a listing without them is not whole, and what they answer deviates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from guard.clearing import CALL, CALL_220, PUT_220, clearing_desk, listed, row, usual_book
from guard.exchange import held, instrument, raising
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.errors import AnsweredForAnother, InvalidBatch
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.records import Response, UnreadableRow
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule, Severity

OTHER = AccountId(777)
OF_ANOTHER = UnreadableRow(position=1, reason="a row of account 777, not of 19816", raw={}, of_account=777)
UNREADABLE = UnreadableRow(position=2, reason="no id", raw={})
LEFT_OUT: dict[str, tuple[tuple[UnreadableRow, ...], str]] = {
    "of another account": ((OF_ANOTHER,), "1 row of another account is left out"),
    "unreadable": ((UNREADABLE, UNREADABLE), "2 rows of the API could not be read and are not included"),
    "both": ((OF_ANOTHER, UNREADABLE), "1 row of another account is left out"),
}


class Listing:
    """Lists the instructions that can be read, and says what it left out."""

    def __init__(self, rows: Sequence[Instruction], left_out: tuple[UnreadableRow, ...]) -> None:
        self.rows, self.left_out = list(rows), left_out

    async def get_position_instructions(self, *_: Any) -> Response[list[Instruction]]:
        return Response(data=self.rows, unreadable=self.left_out)


@pytest.mark.requirement("G-12", "A-06")
@pytest.mark.parametrize(("left_out", "said"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
@pytest.mark.parametrize("close", [True, False])
async def test_a_listing_that_left_rows_out_is_said_and_needs_the_desk(
    tmp_path: Path, left_out: tuple[UnreadableRow, ...], said: str, close: bool
) -> None:
    async with clearing_desk(tmp_path, instructions=Listing([], left_out)) as it:
        planned = await (it.desk.plan("AAPL") if close else it.plan(row(CALL_220)))
        assert planned.verdict is not None
        (finding,) = planned.verdict.needs_desk
        assert finding.rule is Rule.NOT_READ
        assert said in finding.message
        assert said in question(planned.operation.plan)


@pytest.mark.requirement("G-12")
async def test_what_could_be_read_of_such_a_listing_still_claims_its_contracts(tmp_path: Path) -> None:
    instructions = Listing([listed(1, "EXERCISE", 4)], (OF_ANOTHER,))
    short = held("AAPL261120C00230000", -1, number=9, underlying_instrument_id=instrument(1))
    book = [each for each in usual_book() if each.is_option]
    async with clearing_desk(tmp_path, instructions=instructions, positions=[*book, short]) as it:
        planned = await it.plan(row(CALL_220, "EXERCISE", 1))
        assert planned.verdict is not None
        assert planned.verdict.needs_desk
        with pytest.raises(InvalidBatch, match="of 5 held 4 are already under instruction"):
            await it.plan(row(CALL_220, "EXERCISE", 2))


@pytest.mark.requirement("G-12")
async def test_where_no_option_is_held_it_is_said_and_stops_nothing(tmp_path: Path) -> None:
    shares = [held("AAPL", 600, price="231.00", number=1)]
    async with clearing_desk(tmp_path, instructions=Listing([], (OF_ANOTHER,)), positions=shares) as it:
        planned = await it.desk.plan("AAPL")
        assert planned.verdict is not None
        (finding,) = planned.verdict.findings
        assert finding.severity is Severity.NOTE
        assert "1 row of another account is left out" in finding.message


@pytest.mark.requirement("G-12")
async def test_a_listing_that_turns_incomplete_before_sending_stops_what_no_supervisor_decided(tmp_path: Path) -> None:
    instructions = Listing([], ())
    async with clearing_desk(tmp_path, instructions=instructions) as it:
        planned = await it.plan(row(CALL_220))
        instructions.left_out = (OF_ANOTHER,)
        report = await it.send(planned)
        assert not report.anything_sent
        assert it.clearing.requests == []


def of_another(rows: list[Instruction]) -> list[Instruction]:
    return [each.model_copy(update={"account_id": OTHER}) for each in rows]


def refused_for_another(rows: list[Instruction]) -> list[Instruction]:
    return [each.model_copy(update={"status": InstructionStatus.REJECTED}) for each in of_another(rows)]


def without_key(rows: list[Instruction]) -> list[Instruction]:
    return [each.model_copy(update={"instruction_id": None}) for each in of_another(rows)]


def beside_the_own(rows: list[Instruction]) -> list[Instruction]:
    return [*of_another(rows), *rows]


@pytest.mark.requirement("G-02", "I-01")
@pytest.mark.parametrize("answer", [of_another, refused_for_another, without_key, beside_the_own])
async def test_a_row_answered_for_another_account_deviates_and_holds_its_contract(
    tmp_path: Path, answer: Callable[[list[Instruction]], list[Instruction]]
) -> None:
    async with clearing_desk(tmp_path) as it:
        it.clearing.change_answer = answer
        report = await it.submit(row(CALL_220))
        assert report.rows[0].state is RowState.DEVIATED
        assert "is of account 777, not of 19816" in report.rows[0].detail
        assert report.batch is not None
        assert report.batch.headline.startswith("DEVIATED from what was asked, row 1: answered for another account")
        it.clearing.change_answer = None
        mine, it.desk.exchange.instructions[:] = list(it.desk.exchange.instructions), []
        again = await it.plan(row(CALL_220))
        assert again.verdict is not None
        taken = answer is beside_the_own  # then the own instruction is known
        assert [each.rule for each in again.verdict.refusals] == ([] if taken else [Rule.IN_DOUBT])
        it.desk.exchange.instructions += mine
        seen = await it.desk.guard.operation(report.operation_id)
        assert seen.rows[0].state is RowState.DEVIATED
        assert "the listing now shows it as asked" in seen.rows[0].detail


@pytest.mark.requirement("G-02", "I-01")
async def test_of_a_batch_only_the_row_that_was_answered_for_another_account_deviates(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.clearing.change_answer = lambda rows: [*of_another(rows[:1]), *rows[1:]]
        report = await it.submit(row(CALL_220), row(PUT_220, "DO_NOT_EXERCISE"))
        assert [each.state for each in report.rows] == [RowState.DEVIATED, RowState.SENT]


@pytest.mark.requirement("G-02", "I-01")
@pytest.mark.parametrize(
    ("answer", "states"),
    [
        (lambda rows: [each.model_copy(update={"id": rows[0].id}) for each in rows], {RowState.UNKNOWN}),
        (lambda rows: [rows[0].model_copy(update={"id": rows[1].id.upper()}), rows[1]], {RowState.UNKNOWN}),
        (lambda rows: rows[:1], {RowState.SENT, RowState.UNKNOWN}),
        (lambda _: [], {RowState.UNKNOWN}),
        (lambda rows: [*rows, listed(9, "EXERCISE", 3, at=CALL)], {RowState.SENT}),
    ],
    ids=["one id for two", "one id in two spellings", "one row missing", "no row", "one row more"],
)
async def test_an_answer_with_other_rows_than_were_submitted_is_never_taken_for_done(
    tmp_path: Path, answer: Callable[[list[Instruction]], list[Instruction]], states: set[RowState]
) -> None:
    async with clearing_desk(tmp_path) as it:
        it.clearing.change_answer = answer
        report = await it.submit(row(CALL_220), row(PUT_220, "DO_NOT_EXERCISE"))
        assert {each.state for each in report.rows} == states
        assert report.state is (OperationState.SUBMITTED if states == {RowState.SENT} else OperationState.UNKNOWN)
        if states == {RowState.SENT}:
            assert "rows that the plan does not expect: EXERCISE 3" in report.reason


@pytest.mark.requirement("G-02", "I-05")
@pytest.mark.parametrize("told", ["by the row", "by the client"])
async def test_a_cancel_answered_for_another_account_deviates(tmp_path: Path, told: str) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        planned = await it.plan_cancel(1)
        if told == "by the row":
            it.clearing.change_answer = of_another
        else:
            it.clearing.after.append(raising(AnsweredForAnother("The answer is about account 777.")))
        report = await it.send(planned)
        (done,) = report.rows
        assert done.state is RowState.DEVIATED
        assert "account 777" in done.detail
        assert "Whether that one is cancelled is not known" in done.detail
        it.clearing.become(it.desk.exchange.instructions[0].id, InstructionStatus.CANCELLED)
        (done,) = (await it.desk.guard.operation(report.operation_id)).rows
        assert done.state is RowState.DEVIATED
        assert "Listed now: Cancelled" in done.detail
