"""What becomes of a batch and of a cancel after sending: accounted for, looked up, concluded from what is listed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from guard.clearing import CALL_220, GIVING_UP, PUT_220, ClearingDesk, clearing_desk, listed, number_of, row
from guard.desk import CALLER, PASSPHRASE
from guard.exchange import raising
from positions_mcp.domain.batch.rows import NextStep, RowOutcome
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.errors import NothingSent, OutcomeUnknown, Refused, RequestRejected
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.exercising.request import SubmitRequest
from positions_mcp.guard.reports import OperationReport

BOTH = (row(CALL_220, quantity=2, key="k-1"), row(PUT_220, "DO_NOT_EXERCISE", 3, key="k-2"))
LOST = OutcomeUnknown("The connection dropped.")


def outcomes(report: OperationReport) -> list[RowOutcome]:
    assert report.batch is not None
    return [each.outcome for each in report.batch.rows]


async def followed(it: ClearingDesk, report: OperationReport) -> OperationReport:
    return await it.desk.guard.operation(report.operation_id)


@pytest.mark.requirement("G-04")
async def test_every_row_is_journalled_as_sending_before_the_request_leaves(tmp_path: Path) -> None:
    seen: list[RowState] = []
    async with clearing_desk(tmp_path) as it:

        async def look() -> None:
            (operation,) = it.desk.store.operations()
            seen.extend(each.state for each in operation.rows)

        it.clearing.after.append(look)
        report = await it.submit(*BOTH)
        assert seen == [RowState.SENDING, RowState.SENDING]
        assert [each.state for each in report.rows] == [RowState.SENT, RowState.SENT]
        assert len(it.clearing.requests) == 1


@pytest.mark.requirement("I-01")
async def test_sent_is_followed_to_its_end_and_reserved_dollars_stay(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        report = await it.submit(*BOTH)
        first, second = it.desk.exchange.instructions
        it.clearing.become(first.id, InstructionStatus.ACCEPTED, accepted_quantity=Decimal(2))
        report = await followed(it, report)
        assert outcomes(report) == [RowOutcome.ACCEPTED, RowOutcome.SENT]
        assert report.state is OperationState.SUBMITTED
        it.clearing.become(second.id, InstructionStatus.ACCEPTED, accepted_quantity=Decimal(3))
        report = await followed(it, report)
        assert report.state is OperationState.CLOSED
        assert report.next_step.startswith("Clearing has accepted every row")
        (use,) = (await it.desk.guard.status()).use
        assert use.used_today == 44_000
        assert use.following == ()


@pytest.mark.requirement("I-01")
async def test_a_row_that_clearing_rejects_later_is_rejected(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        report = await it.submit(*BOTH)
        it.clearing.become(it.desk.exchange.instructions[0].id, InstructionStatus.REJECTED, rejection_reason="no")
        report = await followed(it, report)
        assert outcomes(report) == [RowOutcome.REJECTED, RowOutcome.SENT]
        assert {each.state for each in report.rows} == {RowState.REJECTED, RowState.SENT}


@pytest.mark.requirement("I-01", "G-02")
async def test_rows_nobody_asked_for_and_deviations_are_kept_and_said_first(tmp_path: Path) -> None:
    def tampered(made: list[Instruction]) -> list[Instruction]:
        return [made[0].model_copy(update={"quantity": Decimal(1)}), made[1], listed(7, "EXERCISE", 1)]

    async with clearing_desk(tmp_path) as it:
        it.clearing.change_answer = tampered
        report = await it.submit(*BOTH)
        again = await followed(it, report)
        for seen in (report, again):
            assert seen.batch is not None
            assert seen.batch.headline.startswith("DEVIATED from what was asked, row 1: asked 2, recorded 1.")
            assert "1 row came back that nobody asked for" in seen.batch.headline
        assert report.rows[0].state is RowState.DEVIATED


@pytest.mark.requirement("G-05")
async def test_a_submit_without_an_answer_in_time_is_unknown_and_found_by_its_keys(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, write_timeout=timedelta(seconds=0.05)) as it:
        it.clearing.after.append(anyio.sleep_forever)
        report = await it.submit(*BOTH)
        assert report.state is OperationState.UNKNOWN
        assert outcomes(report) == [RowOutcome.UNKNOWN, RowOutcome.UNKNOWN]
        report = await followed(it, report)
        assert report.state is OperationState.RECONCILED
        assert outcomes(report) == [RowOutcome.SENT, RowOutcome.SENT]
        assert len(it.clearing.requests) == 1


@pytest.mark.requirement("G-05")
async def test_what_is_not_listed_stays_unknown_and_a_person_settles_each_row(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        it.clearing.after.append(raising(LOST))
        twice = (row(CALL_220, "EXERCISE", 2, key="k-1"), row(CALL_220, "DO_NOT_EXERCISE", 1, key="k-2"))
        report = await it.submit(*twice)
        it.desk.exchange.instructions.clear()
        report = await followed(it, report)
        assert report.state is OperationState.UNKNOWN
        assert all("not proof" in each.detail for each in report.rows)
        await it.desk.supervisor.set_up_approver(PASSPHRASE)
        for _ in range(2):  # one contract, two rows: each is settled
            report = await it.desk.supervisor.settle(
                report.operation_id, CALL_220, Conclusion.DID_NOT, PASSPHRASE, evidence="called the broker"
            )
        assert report.state is OperationState.RECONCILED
        assert report.batch is not None
        assert {each.next_step for each in report.batch.rows} == {NextStep.SAME_KEY}
        with pytest.raises(Refused):
            await it.desk.supervisor.settle(
                report.operation_id, CALL_220, Conclusion.DID_NOT, PASSPHRASE, evidence="again"
            )


@pytest.mark.requirement("G-05", "I-02")
@pytest.mark.parametrize("echoed", [True, False])
async def test_the_same_key_is_offered_only_after_an_echo(tmp_path: Path, *, echoed: bool) -> None:
    async with clearing_desk(tmp_path) as it:
        if not echoed:
            it.clearing.change_answer = lambda made: [each.model_copy(update={"instruction_id": "x"}) for each in made]
        await it.submit(row(PUT_220, "DO_NOT_EXERCISE", key="p"))
        it.desk.clock.advance(timedelta(seconds=1))
        it.clearing.after.append(raising(LOST))
        report = await it.submit(row(CALL_220, key="k"))
        it.desk.exchange.instructions.pop()
        report = await followed(it, report)
        assert report.batch is not None
        expected = NextStep.SAME_KEY if echoed else NextStep.MUST_NOT
        assert [each.next_step for each in report.batch.rows] == [expected]
        it.desk.clock.advance(timedelta(minutes=6))
        verdict = (await it.plan(row(CALL_220, key="k"))).verdict
        assert verdict is not None
        assert verdict.is_refused is not echoed


@pytest.mark.requirement("G-05", "I-02")
@pytest.mark.parametrize(
    "other", [row(CALL_220, quantity=2, key="k"), row(CALL_220, key="k-2"), row(CALL_220, "DO_NOT_EXERCISE", key="k")]
)
async def test_only_the_very_same_row_goes_again_into_a_scope_in_doubt(tmp_path: Path, other: object) -> None:
    async with clearing_desk(tmp_path) as it:
        await it.submit(row(PUT_220, "DO_NOT_EXERCISE", key="p"))
        it.desk.clock.advance(timedelta(seconds=1))
        it.clearing.after.append(raising(LOST))
        await it.submit(row(CALL_220, key="k"))
        it.desk.exchange.instructions.pop()
        verdict = (await it.plan(other)).verdict  # type: ignore[arg-type]
        assert verdict is not None
        assert verdict.is_refused


async def test_nothing_sent_is_tried_again_and_then_said(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.clearing.after += [raising(NothingSent("No connection."))] * 50
        report = await it.submit(row(CALL_220))
        assert report.anything_sent is False
        assert report.batch is None
        assert "No connection" in report.reason


@pytest.mark.requirement("I-05", "G-14")
@pytest.mark.parametrize(
    ("status", "state", "operation"),
    [
        (InstructionStatus.CANCEL_REQUESTED, RowState.CANCEL_REQUESTED, OperationState.SUBMITTED),
        (InstructionStatus.SENT, RowState.CANCEL_REQUESTED, OperationState.SUBMITTED),
        (InstructionStatus.UNKNOWN, RowState.CANCEL_REQUESTED, OperationState.SUBMITTED),
        (InstructionStatus.CANCELLED, RowState.CANCELLED, OperationState.CLOSED),
        (InstructionStatus.CANCEL_FAILED, RowState.CANCEL_FAILED, OperationState.PARTIAL),
        (InstructionStatus.ACCEPTED, RowState.CANCEL_FAILED, OperationState.PARTIAL),
        (InstructionStatus.REJECTED, RowState.REJECTED, OperationState.REJECTED),
    ],
)
async def test_a_cancel_is_requested_until_a_terminal_state_is_read(
    tmp_path: Path, status: InstructionStatus, state: RowState, operation: OperationState
) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        report = await it.send(await it.plan_cancel(1))
        assert (report.state, report.rows[0].state) == (OperationState.SUBMITTED, RowState.CANCEL_REQUESTED)
        it.clearing.become(number_of(1), status)
        report = await followed(it, report)
        assert (report.state, report.rows[0].state) == (operation, state)
        if state is RowState.CANCEL_FAILED:
            assert "operator of the broker must look" in report.rows[0].detail


@pytest.mark.requirement("I-05")
async def test_a_cancel_answered_about_another_instruction_is_unknown(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        it.clearing.change_answer = lambda _: [listed(2, "DO_NOT_EXERCISE", 2)]
        report = await it.send(await it.plan_cancel(1))
        assert report.state is OperationState.UNKNOWN
        assert "about another instruction" in report.rows[0].detail


@pytest.mark.requirement("I-05")
async def test_a_cancel_that_the_api_refuses_is_rejected(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        it.clearing.after.append(raising(RequestRejected("Clear Street refused the request with 409.")))
        report = await it.send(await it.plan_cancel(1))
        assert report.state is OperationState.REJECTED
        assert "409" in report.rows[0].detail


@pytest.mark.requirement("G-05")
async def test_an_unknown_cancel_is_concluded_from_its_status_and_never_from_absence(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        it.clearing.after.append(raising(LOST))
        report = await it.send(await it.plan_cancel(1))
        kept = it.desk.exchange.instructions[:]
        it.desk.exchange.instructions.clear()
        report = await followed(it, report)
        assert report.state is OperationState.UNKNOWN
        assert "not listed, which is not proof" in report.rows[0].detail
        it.desk.exchange.instructions += kept
        report = await followed(it, report)
        assert report.state is OperationState.RECONCILED
        it.clearing.become(number_of(1), InstructionStatus.CANCEL_FAILED)
        report = await followed(it, report)
        assert "The cancel FAILED" in report.rows[0].detail
        assert len(it.clearing.requests) == 1


async def test_an_operation_of_one_caller_is_not_anothers(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        plan = (await it.plan(row(CALL_220))).operation
        with pytest.raises(Refused):
            await it.desk.guard.continue_plan(plan.operation_id, caller="somebody else")
        again = await it.desk.guard.continue_plan(
            plan.operation_id, SubmitRequest(rows=(row(CALL_220),)), caller=CALLER
        )
        assert again.operation == plan
