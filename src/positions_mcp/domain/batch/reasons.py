"""Why a row was refused, in words, and whether it may be submitted again.

A resubmission is offered only where a second effect is impossible: the refusal is known, its cause is understood, and
it is not that the instruction already exists. Anything else is for a person to look at. A row that was refused for
itself and has to change gets a new key; a batch refused as a whole says nothing of its rows, one of which may have been
a duplicate, so they keep theirs.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from positions_mcp.domain.batch.rows import NextStep, RowOutcome, RowVerdict
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import is_uuid
from positions_mcp.domain.money import plain
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
    """Why one row that came back was refused.

    Args:
        row: the row as the API answered it.
        asked: contracts asked for.
        status: HTTP status of the whole answer.
    """
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
