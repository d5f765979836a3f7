"""What the answers to a submit and to a cancel say of every row, and what the account's instructions say of it later.

Rows refused before acceptance are never listed, so that absence proves nothing; the program concludes only from what is
listed that something took effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from positions_mcp.domain.batch.report import SubmitAnswer, batch_report, followed
from positions_mcp.domain.batch.rows import BatchReport, NextStep, RowOutcome, RowReport, UnexpectedRow, honours_keys
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.errors import ReadFailed, Sent
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Conclusion, Operation, Row
from positions_mcp.domain.operation.plan import CancelTarget, Plan
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.account import Account
from positions_mcp.guard.kind import Answer, RowAnswer, observed, took_effect

KeysHonoured = Callable[[AccountId], Awaitable[bool | None]]

ENDS = frozenset({RowState.ACCEPTED, RowState.REJECTED, RowState.CANCELLED, RowState.CANCEL_FAILED})
"""States after which nothing more happens by itself."""

_LATER = {
    InstructionStatus.CANCEL_REQUESTED: RowState.CANCEL_REQUESTED,
    InstructionStatus.CANCELLED: RowState.CANCELLED,
    InstructionStatus.CANCEL_FAILED: RowState.CANCEL_FAILED,
}
_OF_OUTCOME = {
    RowOutcome.SENT: RowState.SENT,
    RowOutcome.ACCEPTED: RowState.ACCEPTED,
    RowOutcome.REJECTED: RowState.REJECTED,
    RowOutcome.MISSING: RowState.UNKNOWN,
    RowOutcome.UNKNOWN: RowState.UNKNOWN,
    RowOutcome.NOT_SENT: RowState.NOT_SENT,
}
_SETTLED = "A person concluded that it was not taken: may be submitted again with the same key."
_NOT_LISTED = "It is not listed, which is not proof: only a person can conclude that it was not cancelled."


def state_of(row: RowReport) -> RowState:
    """The state of a row that a batch report speaks of."""
    if row.deviation is not None:
        return RowState.DEVIATED
    if row.outcome is RowOutcome.SENT and row.status is not None:
        return _LATER.get(InstructionStatus(row.status), RowState.SENT)
    return _OF_OUTCOME[row.outcome]


def detail_of(row: RowReport) -> str:
    """Why it is so: the cause in this program's words, then the API's own as data."""
    reason = f"The API: {quoted(row.reason)}." if row.reason and row.reason not in row.said else ""
    deps = (row.deviation, row.said, row.note)
    said = "; ".join(part.rstrip(".") for part in deps if part)
    return " ".join(part for part in (f"{said}." if said else "", reason) if part)


def batch_of(operation: Operation) -> BatchReport | None:
    """The account of every row of a batch that was sent; None for other kinds, and while nothing is known to have left.

    Where no answer was kept, because the process ended or the time ran out, every row is unknown.
    """
    kept = _kept(operation)
    if kept is None:
        return None
    rows = tuple(_with_resolution(row, known) for row, known in zip(operation.rows, kept.rows, strict=True))
    return kept.model_copy(update={"rows": rows})


def _kept(operation: Operation, keys_honoured: bool | None = None) -> BatchReport | None:
    plan, rows = operation.plan, operation.rows
    if not plan.instructions or any(row.state in (RowState.NOT_SENT, RowState.SENDING) for row in rows):
        return None
    answered = tuple(row.answered for row in rows if row.answered is not None)
    if len(answered) < len(rows):
        lost = SubmitAnswer(sent=Sent.UNKNOWN, request_id=rows[0].request_id)
        return batch_report(plan.instructions, lost, account_id=plan.account_id, server_honours_keys=keys_honoured)
    return BatchReport(
        rows=answered,
        unexpected=rows[0].unexpected,
        unreadable=rows[0].unreadable,
        keys_honoured=honours_keys([row.key_echo for row in answered]),
        request_id=rows[0].request_id,
    )


async def follow_batch(operation: Operation, account: Account, keys_honoured: KeysHonoured) -> Sequence[Row]:
    """Rows that have changed, looked up by id, else by key and content."""
    if not any(row.is_followed for row in operation.rows):
        return ()
    listed = _listed(account)
    known = await keys_honoured(operation.account_id) if any(row.answered is None for row in operation.rows) else None
    before = _kept(operation, known)
    if before is None:
        return ()
    after = followed(before, operation.plan.instructions, listed)
    at, changed = account.book.as_of, list[Row]()
    for row, now in zip(operation.rows, after.rows, strict=True):
        if row.is_followed:
            changed += observed(row, _update(row, _as_deviated(row, now), at), at)
    return changed


def follow_cancel(operation: Operation, account: Account) -> Sequence[Row]:
    """The one row, if the account's instructions say something new of it."""
    (row,), (target,) = operation.rows, operation.plan.cancels
    if not row.is_followed:
        return ()
    found = next((each for each in _listed(account) if each.id.lower() == target.instruction_id), None)
    return observed(row, _of_cancel(row, target, found, account.book.as_of), account.book.as_of)


def cancel_state(row: Instruction) -> tuple[RowState | None, str]:
    """What an instruction's status says of its cancel, and in words; None where it says nothing of it."""
    why = f" The API: {quoted(row.words_of_refusal)}." if row.words_of_refusal else ""
    match row.status:
        case InstructionStatus.CANCEL_REQUESTED:
            return RowState.CANCEL_REQUESTED, "Requested, not yet cancelled: the instruction may still stand."
        case InstructionStatus.CANCELLED:
            return RowState.CANCELLED, "Cancelled: exercise by exception applies as if it had never been sent."
        case InstructionStatus.CANCEL_FAILED:
            failed = "The cancel FAILED: an operator of the broker must look, and the original instruction may stand."
            return RowState.CANCEL_FAILED, f"{failed}{why}"
        case InstructionStatus.ACCEPTED:
            accepted = row.accepted_quantity
            of = "" if accepted is None else f" {plain(accepted)} contracts of"
            came_first = f"Clearing accepted{of} the instruction before the cancel: it stands, and the cancel FAILED."
            return RowState.CANCEL_FAILED, f"{came_first} An operator of the broker must look."
        case _ if row.status.is_rejected:
            return RowState.REJECTED, f"Clearing rejected the instruction itself: it does not stand.{why}"
        case _:
            return None, ""


def _listed(account: Account) -> tuple[Instruction, ...]:
    if account.instructions is None:
        raise ReadFailed("The account's instructions could not be read.")
    return account.instructions


def _as_deviated(row: Row, now: RowReport) -> RowReport:
    """A deviation stays said, also where a later listing no longer shows it."""
    was = row.answered
    if was is None or was.deviation is None or now.deviation is not None:
        return now
    kept = {"deviation": was.deviation, "next_step": was.next_step, "advice": was.advice}
    return now.model_copy(update={**kept, "note": "the listing now shows it as asked"})


def _update(row: Row, now: RowReport, at: datetime) -> dict[str, Any]:
    update: dict[str, Any] = {"answered": now, "detail": detail_of(now)}
    state = state_of(now)
    if state is RowState.UNKNOWN:
        return update
    update |= {"instruction_id": now.server_id or row.instruction_id}
    if row.state is not RowState.UNKNOWN:
        deviated = RowState.DEVIATED in (row.state, state)
        return update | {"state": RowState.DEVIATED if deviated else state, "ended": _is_over(now)}
    if row.is_in_doubt:
        evidence = f"Instruction {now.server_id} stands under its key or id: {now.status}."
        update["resolution"] = took_effect(evidence, at)
    return update | {"ended": _is_over(now)}


def _of_cancel(row: Row, target: CancelTarget, found: Instruction | None, at: datetime) -> dict[str, Any]:
    state, said = cancel_state(found) if found is not None else (None, "")
    if found is None or state is None:
        if not row.is_in_doubt:
            return {}
        seen = _NOT_LISTED if found is None else f"It is listed as {label(found.status)}, which is not proof."
        return {"detail": f"{row.detail.partition(' Looked up:')[0]} Looked up: {seen}"}
    update: dict[str, Any] = {"detail": said, "ended": state in ENDS}
    if row.state is RowState.DEVIATED:
        return update | {"detail": f"{row.detail.partition(' Listed now:')[0]} Listed now: {said}"}
    if row.state is not RowState.UNKNOWN:
        return update | {"state": state}
    if found.status is InstructionStatus.ACCEPTED or found.status.is_rejected:
        # It says nothing of whether the cancel arrived; a person settles that, with the instruction's end known.
        return {"detail": f"The outcome of the cancel is not known. {said}"} if row.is_in_doubt else update
    if row.is_in_doubt:
        evidence = f"Instruction {target.instruction_id} is listed as {label(found.status)}."
        update["resolution"] = took_effect(evidence, at)
    return update


def _is_over(row: RowReport) -> bool:
    """Whether the API's own status is an end."""
    return row.status is not None and InstructionStatus(row.status).is_terminal


def _with_resolution(row: Row, known: RowReport) -> RowReport:
    """What is known of a row, and how its unknown outcome was settled."""
    settled = row.resolution
    if settled is None:
        return known
    note = settled.said
    if settled.conclusion is not Conclusion.DID_NOT:
        return known.model_copy(update={"note": note})
    again = {"next_step": NextStep.SAME_KEY, "advice": _SETTLED}
    return known.model_copy(update={"note": note, "said": "a person concluded that it was not taken", **again})


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
    state, detail = cancel_state(row)
    if state is None or row.status is InstructionStatus.ACCEPTED:
        detail = f"The API took the request, but says that the instruction is {label(row.status)}."
        return RowAnswer(RowState.UNKNOWN, detail, instruction_id=target.instruction_id, request_id=request_id)
    return RowAnswer(state, detail, instruction_id=target.instruction_id, request_id=request_id, ended=state in ENDS)


def cancel_of_another(target: CancelTarget, said: str, request_id: str | None) -> RowAnswer:
    """What a cancel ends in that was answered for another account."""
    detail = f"The answer is not about this account's instruction. {said} Whether that one is cancelled is not known."
    return RowAnswer(RowState.DEVIATED, detail, instruction_id=target.instruction_id, request_id=request_id)


def _outcome_of(row: RowReport, request_id: str | None) -> RowAnswer:
    """What the batch report says of one row, as the journal keeps it."""
    state = state_of(row)
    return RowAnswer(
        state=state,
        detail=detail_of(row),
        instruction_id=row.server_id,
        answered=row,
        request_id=request_id,
        ended=state in ENDS,
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
