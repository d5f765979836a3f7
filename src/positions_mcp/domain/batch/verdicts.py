"""The verdict on one row of a submitted batch, from the row that answers it or from the answer as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from positions_mcp.domain.batch.reasons import refusal_of_row
from positions_mcp.domain.batch.rows import NextStep, RowOutcome, RowVerdict
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import InstructionTarget
from positions_mcp.domain.text import label

_OUTCOMES = {InstructionStatus.SENT: RowOutcome.SENT, InstructionStatus.ACCEPTED: RowOutcome.ACCEPTED}
_LOOK_UP = "Must not be submitted again. Look it up by key and id; not finding it is not proof that it was not taken."
_SAME_KEY = (
    "Look it up by key and id first; not finding it is not proof. As this server has shown that it honours keys, a "
    "person may then decide to submit it again with the same key."
)
_WAIT = "Must not be submitted again. Clearing has yet to accept it: read its state until it is accepted or rejected."
_ACCEPTED = "Nothing more to do; must not be submitted again."
_LESS = "Must not be submitted again as it was: a person decides about the contracts that were not accepted."
_DEVIATED = "Must not be submitted again: a person compares what the API recorded with what was asked."
_CANCEL_REQUESTED = "A cancel was asked for and is not known to have succeeded: read its state."
_CANCELLED = "It was cancelled: exercise by exception applies to it as if nothing had been sent."
_CANCEL_FAILED = "Its cancel failed: the instruction may stand, and the broker's operators must look."


def verdict_on_row(
    target: InstructionTarget,
    row: Instruction,
    *,
    repeats: Sequence[Instruction] = (),
    http_status: int | None = None,
    shared_ids: Collection[str] = (),
) -> RowVerdict:
    """What a row that came back says.

    Args:
        target: the row as planned.
        row: the row as the API answered it.
        repeats: rows of the same answer that say something of it again.
        http_status: status of the whole answer.
        shared_ids: server ids that answer several planned rows.
    """
    if contradiction := _contradiction(row, repeats, shared_ids):
        return _in_doubt(contradiction)
    if row.status.is_rejected:
        return refusal_of_row(row, target.quantity, http_status)
    outcome = _OUTCOMES.get(row.status)
    if outcome is None:
        return _in_doubt(f"its status {label(row.status)} is not one a submission ends in")
    deviation = _deviation(target, row, repeats)
    next_step, advice = _after(target, row, deviation)
    refused = http_status is not None and http_status >= 400
    note = f"The answer as a whole was a refusal ({http_status}): read its state before relying on it."
    return RowVerdict(
        outcome=outcome, deviation=deviation, next_step=next_step, advice=advice, note=note if refused else None
    )


def verdict_on_listed(target: InstructionTarget, row: Instruction) -> RowVerdict:
    """What a row says that a later listing shows, where a cancel may have been asked for since."""
    match row.status:
        case InstructionStatus.CANCEL_REQUESTED:
            return RowVerdict(outcome=RowOutcome.SENT, next_step=NextStep.WAIT, advice=_CANCEL_REQUESTED)
        case InstructionStatus.CANCELLED:
            return RowVerdict(outcome=RowOutcome.SENT, next_step=NextStep.NOTHING, advice=_CANCELLED)
        case InstructionStatus.CANCEL_FAILED:
            return RowVerdict(outcome=RowOutcome.SENT, next_step=NextStep.MUST_NOT, advice=_CANCEL_FAILED)
        case _:
            return verdict_on_row(target, row)


def verdict_without_row(said: str, *, outcome: RowOutcome, same_key: bool | None) -> RowVerdict:
    """A row of which no answer is known. `same_key`: whether the server has shown that it honours keys."""
    if same_key:
        return RowVerdict(outcome=outcome, said=said, next_step=NextStep.SAME_KEY, advice=_SAME_KEY)
    return RowVerdict(outcome=outcome, said=said, next_step=NextStep.MUST_NOT, advice=_LOOK_UP)


def deviating(verdict: RowVerdict, deviation: str) -> RowVerdict:
    """The same of a row that was answered otherwise than asked."""
    advice = f"{_DEVIATED} {_LOOK_UP}"
    update = {"deviation": deviation, "next_step": NextStep.MUST_NOT, "advice": advice}
    return verdict.model_copy(update=update)


NOTHING_LEFT = RowVerdict(
    outcome=RowOutcome.NOT_SENT,
    said="nothing left this machine",
    next_step=NextStep.SAME_KEY,
    advice="Nothing left this machine: may be submitted again with the same key.",
)


def _in_doubt(said: str) -> RowVerdict:
    return RowVerdict(outcome=RowOutcome.UNKNOWN, said=said, next_step=NextStep.MUST_NOT, advice=_LOOK_UP)


def _after(target: InstructionTarget, row: Instruction, deviation: str | None) -> tuple[NextStep, str]:
    if deviation is not None:
        return NextStep.MUST_NOT, _DEVIATED
    if row.status is InstructionStatus.SENT:
        return NextStep.WAIT, _WAIT
    if row.accepted_quantity is None:
        return NextStep.NOTHING, f"{_ACCEPTED} The API does not say how many contracts were accepted."
    if row.accepted_quantity < target.quantity:
        return NextStep.MUST_NOT, _LESS
    return NextStep.NOTHING, _ACCEPTED


def _contradiction(row: Instruction, repeats: Sequence[Instruction], shared_ids: Collection[str]) -> str | None:
    """Why a row cannot be believed, or None."""
    statuses = dict.fromkeys(label(each.status) for each in (row, *repeats))
    if len(statuses) > 1:
        return f"it was answered {1 + len(repeats)} times, as {' and '.join(statuses)}"
    if row.status in _OUTCOMES and row.was_refused_before_acceptance:
        return f"it is said to be {row.status} but has no id"
    if row.id.lower() in shared_ids:
        return "another row was answered with the same id"
    return None


def _deviation(target: InstructionTarget, row: Instruction, repeats: Sequence[Instruction]) -> str | None:
    if row.quantity is not None and row.quantity != target.quantity:
        return f"asked {target.quantity}, recorded {plain(row.quantity)}"
    if row.accepted_quantity is not None and row.accepted_quantity > target.quantity:
        return f"asked {target.quantity}, accepted {plain(row.accepted_quantity)}"
    if len({row.id, *(each.id for each in repeats)}) > 1:
        return "answered under several ids, so that several instructions may stand"
    return None
