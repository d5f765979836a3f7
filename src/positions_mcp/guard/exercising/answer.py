"""What the answers to a submit and to a cancel say of every row."""

from __future__ import annotations

from dataclasses import replace

from positions_mcp.domain.batch.report import SubmitAnswer, batch_report
from positions_mcp.domain.batch.rows import BatchReport, RowReport, UnexpectedRow
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CancelTarget, Plan
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.exercising import follow
from positions_mcp.guard.kind import Answer, RowAnswer

_MOST_UNEXPECTED = 20


def account_for(plan: Plan, answer: SubmitAnswer, keys_honoured: bool | None) -> Answer:
    """Every row of the batch gets what the answer says of it; rows that the plan does not expect are named."""
    report = batch_report(plan.instructions, answer, account_id=plan.account_id, server_honours_keys=keys_honoured)
    outcomes = {row.index: _outcome_of(row, answer.request_id) for row in report.rows}
    outcomes[0] = replace(outcomes[0], unexpected=report.unexpected, unreadable=report.unreadable)
    return Answer(outcomes, _said_beside(report))


def outcome_of_cancel(plan: Plan, response: Response[Instruction]) -> RowAnswer:
    """What the answer to a cancel says of its one row."""
    (target,) = plan.cancels
    row, request_id = response.data, response.metadata.request_id
    if row.account_id != plan.account_id:
        return cancel_of_another(target, f"It is about account {row.account_id}, not {plan.account_id}.", request_id)
    if row.id.lower() != target.instruction_id:
        detail = f"The answer is about another instruction, {label(row.id)}: it may have been cancelled instead."
        return RowAnswer(RowState.UNKNOWN, detail, request_id=request_id)
    state, detail = follow.cancel_state(row)
    if state is None or row.status is InstructionStatus.ACCEPTED:
        detail = f"The API took the request, but says that the instruction is {label(row.status)}."
        return RowAnswer(RowState.UNKNOWN, detail, instruction_id=target.instruction_id, request_id=request_id)
    return RowAnswer(
        state,
        detail,
        instruction_id=target.instruction_id,
        request_id=request_id,
        ended=state in follow.ENDS,
    )


def cancel_of_another(target: CancelTarget, said: str, request_id: str | None) -> RowAnswer:
    """What a cancel ends in that was answered for another account."""
    detail = f"The answer is not about this account's instruction. {said} Whether that one is cancelled is not known."
    return RowAnswer(RowState.DEVIATED, detail, instruction_id=target.instruction_id, request_id=request_id)


def _outcome_of(row: RowReport, request_id: str | None) -> RowAnswer:
    """What the batch report says of one row, as the journal keeps it."""
    state = follow.state_of(row)
    return RowAnswer(
        state=state,
        detail=follow.detail_of(row),
        instruction_id=row.server_id,
        answered=row,
        request_id=request_id,
        ended=state in follow.ENDS,
    )


def _said_beside(report: BatchReport) -> str:
    """What came back that answers no row of the plan, in words; empty where nothing did."""
    parts = []
    if report.unexpected:
        shown = "; ".join(map(_unexpected, report.unexpected[:_MOST_UNEXPECTED]))
        rest = len(report.unexpected) - _MOST_UNEXPECTED
        more = f"; and {rest} more" if rest > 0 else ""
        parts.append(f"The answer also has rows that the plan does not expect: {shown}{more}.")
    if report.unreadable:
        shown = "; ".join(report.unreadable[:_MOST_UNEXPECTED])
        parts.append(f"{len(report.unreadable)} rows of the answer could not be read: {quoted(shown)}.")
    return " ".join(parts)


def _unexpected(row: UnexpectedRow) -> str:
    quantity = "?" if row.quantity is None else plain(row.quantity)
    again = "" if row.repeats is None else f", row {row.repeats + 1} again"
    key = f", key {label(row.key, 128)}" if row.key else ""
    return f"{row.instruction_type} {quantity} {row.instrument} {row.status} (id {row.server_id or 'none'}{key}{again})"
