"""From a submitted batch of instructions and what came back to a report that accounts for every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from positions_mcp.domain.batch.matching import AnsweredRow, Matching, match
from positions_mcp.domain.batch.rows import (
    BatchReport,
    KeyEcho,
    RowOutcome,
    RowReport,
    RowVerdict,
    UnexpectedRow,
    honours_keys,
)
from positions_mcp.domain.batch.verdicts import (
    NOTHING_LEFT,
    deviating,
    refusal_of_batch,
    verdict_on_listed,
    verdict_on_row,
    verdict_without_row,
)
from positions_mcp.domain.errors import RequestRejected, Sent, UpstreamError
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId, InstructionId, is_uuid
from positions_mcp.domain.operation.plan import InstructionTarget
from positions_mcp.domain.operation.records import Problem, Response, UnreadableRow
from positions_mcp.domain.text import clean, label

_REFUSALS = frozenset({400, 401, 403, 404, 409, 422, 429})
_CLEARING_UNAVAILABLE = 503
_NOT_FOUND = "A later listing does not show it, which is not proof: rows refused before acceptance are never listed."


class SubmitAnswer(BaseModel):
    """What came back of one submit: rows, a refusal, or nothing that says what happened."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    sent: Sent
    status: int | None = None
    rows: tuple[Instruction, ...] = ()
    unreadable: tuple[UnreadableRow, ...] = ()
    problem: Problem | None = None
    """The API's error object; None where the body was empty or could not be read."""
    message: str = ""
    """What became of it in words of this program, which quote the API's; empty for an answer that could be read."""
    request_id: str | None = None

    @classmethod
    def from_response(cls, response: Response[list[Instruction]]) -> Self:
        """An answer that could be read, whatever its status."""
        return cls(
            sent=Sent.YES,
            status=response.status,
            rows=tuple(response.data),
            unreadable=response.unreadable,
            problem=response.error,
            request_id=response.metadata.request_id,
        )

    @classmethod
    def from_error(cls, error: UpstreamError) -> Self:
        """The failure of a submit: nothing left, a refusal without rows, or an unknown outcome."""
        refused = isinstance(error, RequestRejected)
        lost = Sent.NO if error.sent is Sent.NO else Sent.UNKNOWN
        return cls(
            sent=Sent.YES if refused else lost,
            status=error.status,
            problem=Problem(code=error.code, message=error.said or error.message) if refused else None,
            message=error.message,
            request_id=error.request_id,
        )

    @property
    def has_rows(self) -> bool:
        """Whether outcomes are read from rows: always on a success, on a refusal where rows came."""
        status = self.status or 0
        if self.sent is not Sent.YES:
            return False
        return 200 <= status < 300 or (bool(self.rows or self.unreadable) and status >= 400 and status != 408)

    @property
    def is_refusal(self) -> bool:
        """Whether the batch as a whole was refused, in a body that could be read.

        A 5xx refuses only as 503 (clearing unavailable); any other status leaves the outcome unknown.
        """
        status = self.status or 0
        if self.sent is not Sent.YES or self.problem is None or self.has_rows:
            return False
        if status == _CLEARING_UNAVAILABLE:
            # A gateway answers without a code, and knows nothing of what became of the request.
            return self.problem.code is not None and bool(self.problem.message)
        return status in _REFUSALS


def batch_report(
    planned: Sequence[InstructionTarget],
    answer: SubmitAnswer,
    *,
    account_id: AccountId,
    server_honours_keys: bool | None = None,
) -> BatchReport:
    """Account for every planned row, in the order of the plan.

    Rows of another account are unexpected; where one is as asked for in all else, the planned row deviates.
    `server_honours_keys` says what earlier submissions have shown, for an answer that shows nothing.
    """
    if answer.has_rows:
        return _by_rows(planned, answer, account_id, server_honours_keys)
    verdict = _verdict_on_all(answer, server_honours_keys)
    rows = tuple(_row(index, target, verdict) for index, target in enumerate(planned))
    return _report(rows, Matching({}, answer.rows, {}), answer, keys_honoured=None)


def followed(report: BatchReport, planned: Sequence[InstructionTarget], listed: Iterable[Instruction]) -> BatchReport:
    """The report after a later listing of the account's instructions: by server id, else by key and content.

    A row that the listing does not show keeps its outcome: absence proves nothing.
    """
    by_id: dict[str, Instruction] = {}
    by_key: dict[str, list[Instruction]] = {}
    for instruction in listed:
        if not instruction.was_refused_before_acceptance:
            by_id[instruction.id] = instruction
            by_key.setdefault(instruction.instruction_id or "", []).append(instruction)
    keys = Counter(row.key for row in report.rows)
    rows = []
    for row, target in zip(report.rows, planned, strict=True):
        found = by_id.get(row.server_id or "")
        is_open = row.outcome in (RowOutcome.MISSING, RowOutcome.UNKNOWN)
        if found is None and is_open and keys[row.key] == 1:
            keyed = (each for each in by_key.get(row.key, ()) if each.quantity == target.quantity)
            same = [each for each in keyed if _is_of_the_same(target, each)]
            found = same[0] if len(same) == 1 else None
        if found is not None:
            rows.append(_row(row.index, target, verdict_on_listed(target, found), found, row.key_echo))
        else:
            rows.append(row.model_copy(update={"note": _NOT_FOUND}) if is_open else row)
    return report.model_copy(update={"rows": tuple(rows)})


def _verdict_on_all(answer: SubmitAnswer, same_key: bool | None) -> RowVerdict:
    if answer.sent is Sent.NO:
        return NOTHING_LEFT
    if answer.is_refusal:
        return refusal_of_batch(answer.status, answer.problem, answer.message)
    said = f"the answer was {answer.status}" if answer.status else "no answer was read after sending"
    return verdict_without_row(said, outcome=RowOutcome.UNKNOWN, same_key=same_key)


def _by_rows(
    planned: Sequence[InstructionTarget], answer: SubmitAnswer, account_id: AccountId, known: bool | None
) -> BatchReport:
    length = len(answer.rows) + len(answer.unreadable)
    matching = match(planned, _in_their_places(answer, length), account_id, length)
    echoes = {index: _echo(planned[index], row) for index, row in matching.answers.items()}
    honoured = honours_keys(echoes.values())
    # One instruction stands for several planned rows, or the answer is wrong.
    ids = Counter(row.id.lower() for row in matching.answers.values() if not row.was_refused_before_acceptance)
    shared_ids = frozenset(server_id for server_id, count in ids.items() if count > 1)
    stray_keys = {row.instruction_id for row in matching.left_over}
    rows = []
    for index, target in enumerate(planned):
        row = matching.answers.get(index)
        for_another = _answered_for_another(target, matching.left_over, account_id)
        if row is None:
            same_key = (known if honoured is None else honoured) and target.instruction_key not in stray_keys
            verdict = _unanswered(answer, same_key)
            rows.append(_row(index, target, deviating(verdict, for_another) if for_another else verdict))
            continue
        verdict = verdict_on_row(
            target, row, repeats=matching.repeats.get(index, ()), http_status=answer.status, shared_ids=shared_ids
        )
        verdict = deviating(verdict, for_another) if for_another else verdict
        rows.append(_row(index, target, verdict, row, echoes[index]))
    return _report(tuple(rows), matching, answer, keys_honoured=honoured)


def _answered_for_another(target: InstructionTarget, strays: Iterable[Instruction], account_id: AccountId) -> str:
    """That another account's rows stand under the key of a planned row, or ask the same of the same contract."""
    theirs = [
        row
        for row in strays
        if row.account_id != account_id
        and (row.instruction_id == target.instruction_key or _is_of_the_same(target, row))
    ]
    said = (f"instruction {label(row.id)} is of account {row.account_id}, not of {account_id}" for row in theirs)
    return f"answered for another account: {'; '.join(said)}" if theirs else ""


def _is_of_the_same(target: InstructionTarget, row: Instruction) -> bool:
    contract = (row.instrument_id or "").lower() == target.instrument_id.lower()
    return contract and row.instruction_type == target.instruction_type


def _unanswered(answer: SubmitAnswer, same_key: bool | None) -> RowVerdict:
    if answer.unreadable:
        said = "the row that answers it may be one that could not be read"
        return verdict_without_row(said, outcome=RowOutcome.UNKNOWN, same_key=same_key)
    return verdict_without_row("the answer says nothing of it", outcome=RowOutcome.MISSING, same_key=same_key)


def _in_their_places(answer: SubmitAnswer, length: int) -> list[AnsweredRow]:
    unreadable = {row.position for row in answer.unreadable}
    places = [place for place in range(length) if place not in unreadable]
    # Should the places of unreadable rows not fit the answer, the readable ones are numbered as they came.
    numbered = places if len(places) == len(answer.rows) else range(len(answer.rows))
    return [AnsweredRow(place, row) for place, row in zip(numbered, answer.rows, strict=True)]


def _echo(target: InstructionTarget, row: Instruction) -> KeyEcho:
    if row.instruction_id == target.instruction_key:
        return KeyEcho.ECHOED
    # A row refused before acceptance may carry no key at all; a key of the server's own means ours was ignored.
    if not row.instruction_id and row.was_refused_before_acceptance:
        return KeyEcho.NOT_SEEN
    return KeyEcho.IGNORED


def _row(
    index: int,
    target: InstructionTarget,
    verdict: RowVerdict,
    answered: Instruction | None = None,
    key_echo: KeyEcho = KeyEcho.NOT_SEEN,
) -> RowReport:
    return RowReport(
        **dict(verdict),
        index=index,
        instrument_id=target.instrument_id,
        symbol=target.called,
        instruction_type=target.instruction_type,
        quantity=target.quantity,
        key=target.instruction_key,
        key_echo=key_echo,
        status=label(answered.status) if answered else None,
        server_id=_usable_id(answered) if answered else None,
        accepted_quantity=answered.accepted_quantity if answered else None,
    )


def _usable_id(row: Instruction) -> InstructionId | None:
    return None if row.was_refused_before_acceptance or not is_uuid(row.id) else row.id


def _report(
    rows: tuple[RowReport, ...], matching: Matching, answer: SubmitAnswer, *, keys_honoured: bool | None
) -> BatchReport:
    repeated = {id(row): index for index, again in matching.repeats.items() for row in again}
    return BatchReport(
        rows=rows,
        unexpected=tuple(_unexpected(row, repeated.get(id(row))) for row in matching.left_over),
        unreadable=tuple(f"row {row.position + 1}: {clean(row.reason, 120)}" for row in answer.unreadable),
        keys_honoured=keys_honoured,
        http_status=answer.status,
        request_id=clean(answer.request_id, 80) if answer.request_id else None,
        message=clean(answer.problem.message if answer.problem else answer.message) or None,
    )


def _unexpected(row: Instruction, repeats: int | None) -> UnexpectedRow:
    return UnexpectedRow(
        server_id=_usable_id(row),
        key=clean(row.instruction_id, 128) if row.instruction_id else None,
        instrument=label(row.symbol or row.instrument_id or "unnamed"),
        instruction_type=label(row.instruction_type),
        quantity=row.quantity,
        status=label(row.status),
        repeats=repeats,
    )
