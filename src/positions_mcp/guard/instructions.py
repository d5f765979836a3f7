"""Sending instructions and cancels: what is compared before, and what the answer says of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from positions_mcp.domain.batch.report import SubmitAnswer, batch_report
from positions_mcp.domain.batch.rows import BatchReport, KeyEcho, RowReport, UnexpectedRow
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.errors import NothingSent, StoreUnavailable, UpstreamError
from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import CancelTarget, Kind, Mode, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.records import Response
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard import instruction_following
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.instruction_staleness import compare_cancel, compare_instructions
from positions_mcp.guard.senders import Answer, Outcome, Request
from positions_mcp.guard.staleness import Comparison
from positions_mcp.ports import Clock, InstructionWriter, MarketCalendar, OperationStore

_MOST_UNEXPECTED = 20
_REMEMBERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """What both senders need: the way to the API, the rules, and the guard's own memory."""

    policy: Policy
    mode: Mode
    writer: InstructionWriter
    store: OperationStore
    calendar: MarketCalendar
    market_clock: Clock

    async def keys_honoured(self, account_id: AccountId) -> bool | None:
        """Whether the server has shown, last time it showed anything, that it reads callers' keys. None: never."""
        try:
            found = await in_thread(self.store.operations, account_id=account_id, limit=_REMEMBERED)
        except StoreUnavailable:
            return None
        for operation in found:
            if operation.plan.mode is not self.mode or operation.plan.kind is not Kind.SUBMIT_INSTRUCTIONS:
                continue
            echoes = {row.answered.key_echo for row in operation.rows if row.answered}
            if KeyEcho.IGNORED in echoes:
                return False
            if KeyEcho.ECHOED in echoes:
                return True
        return None


class Submits:
    """Implements `positions_mcp.guard.senders.Sender` for a batch of instructions: one POST for all rows."""

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing

    def compare(self, plan: Plan, facts: Facts) -> Comparison:
        """Every rule of the batch again, the deadline among them, and whether its consequences still hold."""
        clearing = self._clearing
        return compare_instructions(
            plan, facts, policy=clearing.policy, calendar=clearing.calendar, now=clearing.market_clock.now()
        )

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        """The whole batch in one."""
        del plan
        return [Request(comparison.reserving)] if comparison.reserving else []

    def obstacle(self, operation: Operation, request: Request, facts: Facts) -> str:
        """Nothing goes before it."""
        del operation, request, facts
        return ""

    async def send(self, operation: Operation, request: Request) -> Answer:
        """One POST of the rows in the plan's order, under the plan's keys."""
        del request
        plan = operation.plan
        rows = [
            InstructionRequest(
                instrument_id=target.instrument_id,
                instruction_type=target.instruction_type,
                quantity=target.quantity,
                instruction_id=target.instruction_key,
            )
            for target in plan.instructions
        ]
        try:
            response = await self._clearing.writer.submit_position_instructions(plan.account_id, rows)
            answer = SubmitAnswer.from_response(response)
        except NothingSent:
            raise
        except UpstreamError as error:
            answer = SubmitAnswer.from_error(error)
        known = await self._clearing.keys_honoured(plan.account_id)
        report = batch_report(plan.instructions, answer, account_id=plan.account_id, server_honours_keys=known)
        outcomes = {row.index: outcome_of(row, answer.request_id) for row in report.rows}
        outcomes[0] = replace(outcomes[0], unexpected=report.unexpected, unreadable=report.unreadable)
        return Answer(outcomes, said_beside(report))

    async def follow(self, operation: Operation, facts: Facts) -> Sequence[Row]:
        """What the account's instructions, by id and by key, now say of each row."""
        return await instruction_following.follow_batch(operation, facts, self._clearing.keys_honoured)


class Cancels:
    """Implements `positions_mcp.guard.senders.Sender` for the cancel of one instruction: one DELETE."""

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing

    def compare(self, plan: Plan, facts: Facts) -> Comparison:
        """Whether the instruction still stands as planned, and the consequence of its cancel with it."""
        return compare_cancel(plan, facts, policy=self._clearing.policy)

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        """The one there is."""
        del plan
        return [Request(comparison.reserving)] if comparison.reserving else []

    def obstacle(self, operation: Operation, request: Request, facts: Facts) -> str:
        """Nothing goes before it."""
        del operation, request, facts
        return ""

    async def send(self, operation: Operation, request: Request) -> Answer:
        """One DELETE of the server's id."""
        (target,) = operation.plan.cancels
        writer = self._clearing.writer
        response = await writer.cancel_position_instruction(operation.account_id, target.instruction_id)
        outcome = _outcome_of_cancel(target, response)
        return Answer(dict.fromkeys(request.rows, outcome))

    async def follow(self, operation: Operation, facts: Facts) -> Sequence[Row]:
        """What the account's instructions now say of it."""
        return instruction_following.follow_cancel(operation, facts)


def outcome_of(row: RowReport, request_id: str | None) -> Outcome:
    """What the batch report says of one row, as the journal keeps it."""
    state = instruction_following.state_of(row)
    return Outcome(
        state=state,
        detail=instruction_following.detail_of(row),
        instruction_id=row.server_id,
        answered=row,
        request_id=request_id,
        ended=state in instruction_following.ENDS,
    )


def said_beside(report: BatchReport) -> str:
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


def _outcome_of_cancel(target: CancelTarget, response: Response[Instruction]) -> Outcome:
    row, request_id = response.data, response.metadata.request_id
    if row.id.lower() != target.instruction_id:
        detail = f"The answer is about another instruction, {label(row.id)}: it may have been cancelled instead."
        return Outcome(RowState.UNKNOWN, detail, request_id=request_id)
    state, detail = instruction_following.cancel_state(row)
    if state is None or row.status is InstructionStatus.ACCEPTED:
        detail = f"The API took the request, but says that the instruction is {label(row.status)}."
        return Outcome(RowState.UNKNOWN, detail, instruction_id=target.instruction_id, request_id=request_id)
    return Outcome(
        state,
        detail,
        instruction_id=target.instruction_id,
        request_id=request_id,
        ended=state in instruction_following.ENDS,
    )
