"""The verdict on one row of a submitted batch, from the row that answers it or from the answer as a whole.

A resubmission is offered only where a second effect is impossible: the refusal is known, its cause is understood, and
it is not that the instruction already exists. Anything else is for a person to look at. A row that was refused for
itself and has to change gets a new key; a batch refused as a whole says nothing of its rows, one of which may have been
a duplicate, so they keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from positions_mcp.domain.batch.rows import NextStep, RowOutcome, RowVerdict
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import is_uuid
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import InstructionTarget
from positions_mcp.domain.operation.records import Problem
from positions_mcp.domain.text import clean, label, quoted


class ReasonCode(StrEnum):
    """Reason codes of the API that this program understands. The API's list is not closed."""

    INSUFFICIENT_POSITION = "INSUFFICIENT_POSITION"
    DNE_NOT_ON_EXPIRY = "DNE_NOT_ON_EXPIRY"
    CEA_NOT_ON_EXPIRY = "CEA_NOT_ON_EXPIRY"
    EXERCISE_PAST_CUTOFF = "EXERCISE_PAST_CUTOFF"
    DUPLICATE_INSTRUCTION = "DUPLICATE_INSTRUCTION"
    OPTIONS_LEVEL_EXCEEDED = "OPTIONS_LEVEL_EXCEEDED"


class _Advice(NamedTuple):
    next_step: NextStep
    advice: str


_DUPLICATE = _Advice(
    NextStep.MUST_NOT, "An instruction of this kind already exists and stands: read its state instead of sending again."
)
_A_PERSON_LOOKS = _Advice(NextStep.MUST_NOT, "The cause is not one this program knows: a person has to look at it.")
_LATER = _Advice(
    NextStep.SAME_KEY, "May be submitted again unchanged once the API takes it, before the deadline, with the same key."
)
_BY_CODE = {
    ReasonCode.INSUFFICIENT_POSITION: _Advice(
        NextStep.NEW_KEY, "May be submitted again with a quantity that is available, under a new key."
    ),
    ReasonCode.DNE_NOT_ON_EXPIRY: _Advice(
        NextStep.NEW_KEY, "May be submitted again on the contract's expiration day, under a new key."
    ),
    ReasonCode.CEA_NOT_ON_EXPIRY: _Advice(
        NextStep.NEW_KEY, "May be submitted again on the contract's expiration day, under a new key."
    ),
    ReasonCode.EXERCISE_PAST_CUTOFF: _Advice(
        NextStep.MUST_NOT, "The cutoff has passed: whether anything can still be done, only the broker can say."
    ),
    ReasonCode.DUPLICATE_INSTRUCTION: _DUPLICATE,
    ReasonCode.OPTIONS_LEVEL_EXCEEDED: _Advice(
        NextStep.MUST_NOT, "The account's options level does not allow it: only the broker can change that."
    ),
}
_CORRECT = _Advice(
    NextStep.SAME_KEY,
    "Find the row at fault and correct it. Every row keeps its key, so that none the API already has is taken twice.",
)
_BY_STATUS = {
    400: _CORRECT,
    401: _Advice(
        NextStep.SAME_KEY, "May be submitted again unchanged, with the same key, once the API key is accepted."
    ),
    403: _Advice(NextStep.SAME_KEY, "May be submitted again unchanged, with the same key, once access is granted."),
    404: _CORRECT,
    409: _DUPLICATE,
    422: _CORRECT,
    429: _LATER,
    503: _LATER,
}
_NOT_ON_EXPIRY = {
    InstructionType.DO_NOT_EXERCISE: ReasonCode.DNE_NOT_ON_EXPIRY,
    InstructionType.CONTRARY_EXERCISE: ReasonCode.CEA_NOT_ON_EXPIRY,
}
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
_DATE_OR_TIME = re.compile(r"[0-9][0-9T:.Z+-]{3,34}( [A-Za-z/_]{2,30})?", re.ASCII)
_LONGEST_REASON = 160


def refusal_of_row(row: Instruction, asked: int, status: int | None) -> RowVerdict:
    """Why one row that came back was refused. `asked`: contracts; `status`: of the whole answer."""
    code, text = _code(row, asked), _text(row)
    known = ReasonCode(code) if code in set(ReasonCode) else None
    existing = row.duplicate_of if row.duplicate_of and is_uuid(row.duplicate_of) else None
    if existing or known is ReasonCode.DUPLICATE_INSTRUCTION or (known is None and status == 409):
        advice = _DUPLICATE
    elif known is not None:
        advice = _BY_CODE[known]
    elif status == 503 and row.was_refused_before_acceptance:
        advice = _LATER
    else:
        advice = _A_PERSON_LOOKS
    return RowVerdict(
        outcome=RowOutcome.REJECTED,
        said=_said(row, asked, known=known, existing=existing),
        reason_code=clean(code, 60) if code else None,
        reason=clean(text, _LONGEST_REASON) if text else None,
        duplicate_of=existing.lower() if existing else None,
        **advice._asdict(),
    )


def refusal_of_batch(status: int | None, problem: Problem | None, said: str) -> RowVerdict:
    """The one verdict on every row of a batch that was refused as a whole. `said`: why, in words of this program."""
    message = problem.said if problem else ""
    why = f" {quoted(message, _LONGEST_REASON)}" if message else ""
    return RowVerdict(
        outcome=RowOutcome.REJECTED,
        said=clean(said).rstrip(".") or f"the API refused the batch with {status}{why}",
        reason=clean(message, _LONGEST_REASON) or None,
        **_BY_STATUS.get(status or 0, _A_PERSON_LOOKS)._asdict(),
    )


def _code(row: Instruction, asked: int) -> str | None:
    """The reason code: given as such, or, in the contract that has only text, what the text begins with or names.

    Each known reason has parameters of its own, which that contract writes into the text as `name=value`.
    """
    if row.rejection is not None and row.rejection.reason:
        return row.rejection.reason
    start = re.sub(r"[\W_]+", "_", (row.rejection_reason or "")[:80]).upper()
    named = next((code for code in ReasonCode if start == code or start.startswith(f"{code}_")), None)
    if named is not None:
        return named
    if _detail(row, "available", _NUMBER) and _detail(row, "requested", _NUMBER) == str(asked):
        return ReasonCode.INSUFFICIENT_POSITION
    if _detail(row, "cutoff_time", _DATE_OR_TIME):
        return ReasonCode.EXERCISE_PAST_CUTOFF
    if _detail(row, "expiry", _DATE_OR_TIME) and _detail(row, "business_date", _DATE_OR_TIME):
        return _NOT_ON_EXPIRY.get(row.instruction_type)
    return None


def _text(row: Instruction) -> str | None:
    text = row.words_of_refusal
    return text if text and not (row.rejection and text == row.rejection.reason) else None


def _said(row: Instruction, asked: int, *, known: ReasonCode | None, existing: str | None) -> str:
    if existing:
        return f"duplicate of {existing.lower()}"
    match known:
        case ReasonCode.INSUFFICIENT_POSITION:
            available = _detail(row, "available", _NUMBER)
            return f"insufficient position (asked {asked}{_and('available', available)})"
        case ReasonCode.DNE_NOT_ON_EXPIRY | ReasonCode.CEA_NOT_ON_EXPIRY:
            kind = "do-not-exercise" if known is ReasonCode.DNE_NOT_ON_EXPIRY else "contrary exercise"
            expiry = _detail(row, "expiry", _DATE_OR_TIME)
            today = _detail(row, "business_date", _DATE_OR_TIME)
            details = f"{_and('expires', expiry)}{_and('business date', today)}".removeprefix(", ")
            return f"{kind} is taken on the expiration day only" + (f" ({details})" if details else "")
        case ReasonCode.EXERCISE_PAST_CUTOFF:
            cutoff = _detail(row, "cutoff_time", _DATE_OR_TIME)
            return "past the cutoff" + (f" ({cutoff})" if cutoff else "")
        case ReasonCode.DUPLICATE_INSTRUCTION:
            return "duplicate of an instruction that the API does not name"
        case ReasonCode.OPTIONS_LEVEL_EXCEEDED:
            return "the account's options level does not allow it"
        case None:
            code, text = _code(row, asked), _text(row)
            parts = [label(code, 60)] if code else []
            return " ".join([*parts, quoted(text, _LONGEST_REASON)] if text else parts) or "no reason given"


def _detail(row: Instruction, name: str, form: re.Pattern[str]) -> str | None:
    """A parameter of the reason, from its metadata or its text; None unless it plainly has the form expected."""
    metadata = (row.rejection and row.rejection.metadata) or {}
    value = str(metadata[name]).strip() if metadata.get(name) is not None else ""
    if not value:
        found = re.search(rf"\b{name}\b[\s:=]{{1,3}}([^\s,;()]{{1,40}})", (row.rejection_reason or "")[:400])
        value = found.group(1).rstrip(".") if found else ""
    if not form.fullmatch(value):
        return None
    return plain(Decimal(value)) if form is _NUMBER else value


def _and(name: str, value: str | None) -> str:
    return f", {name} {value}" if value else ""


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

    `repeats` are rows of the same answer that say something of it again, `shared_ids` server ids that answer several
    planned rows, `http_status` that of the whole answer.
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
    if row.status.is_rejected and row.accepted_quantity:
        return f"it is said to be {row.status}, and {plain(row.accepted_quantity)} contracts of it accepted"
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
