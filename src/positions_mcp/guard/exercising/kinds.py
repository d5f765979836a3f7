"""Submitting instructions and cancelling one, as kinds of operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from positions_mcp.domain.batch.report import SubmitAnswer
from positions_mcp.domain.batch.rows import honours_keys
from positions_mcp.domain.errors import AnsweredForAnother, NothingSent, StoreUnavailable, UpstreamError
from positions_mcp.domain.exercise.instructions import InstructionRequest
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Kind, Plan
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.answer import (
    account_for,
    cancel_of_another,
    follow_batch,
    follow_cancel,
    outcome_of_cancel,
)
from positions_mcp.guard.exercising.draft import compare_cancel, compare_submit, draft_cancel, draft_submit
from positions_mcp.guard.exercising.evening import (
    facts_of,
    findings_on_cover_tonight,
    findings_on_money,
    with_batch,
    without,
)
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.kind import Answer, Comparison, Draft, Request
from positions_mcp.guard.policy.cover import findings_on_instructions
from positions_mcp.guard.policy.findings import Finding
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import InstructionWriter

_REMEMBERED = 200
"""Operations that are looked at for whether the server honours keys."""


class _InOneRequest:
    """What both have in common: one request for all there is, which nothing goes before."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        del plan
        return [Request(comparison.reserving)] if comparison.reserving else []

    def obstacle(self, operation: Operation, request: Request, account: Account) -> str:
        del operation, request, account
        return ""

    def _writer(self) -> InstructionWriter:
        if self._deps.instruction_writer is None:
            raise NothingSent("This program only reads instructions.")
        return self._deps.instruction_writer


class Submitting(_InOneRequest):
    """Implements `positions_mcp.guard.kind.OperationKind` for a batch of instructions: one POST for all rows."""

    def draft(self, request: SubmitRequest, account: Account) -> Draft:
        return draft_submit(request, account, self._deps)

    def findings(self, plan: Plan, account: Account) -> Iterator[Finding]:
        """Less cover than sending nothing leaves, and money given up."""
        deps, policy = self._deps, self._deps.policy_of(plan)
        compared = with_batch(facts_of(account, deps, plan.plan_id, plan.instructions), plan.instructions)
        yield from findings_on_cover_tonight(policy, compared)
        yield from findings_on_money(policy, plan.mode, compared)
        yield from findings_on_instructions(policy, account, plan.instructions)

    def compare(self, plan: Plan, account: Account) -> Comparison:
        """Every rule of the batch again, the deadline among them, and whether its consequences still hold."""
        return compare_submit(plan, account, self._deps)

    async def send(self, operation: Operation, request: Request) -> Answer:
        """One POST of the rows in the plan's order, under the plan's keys."""
        del request
        plan, writer = operation.plan, self._writer()
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
            answer = SubmitAnswer.from_response(await writer.submit_position_instructions(plan.account_id, rows))
        except NothingSent:
            raise
        except UpstreamError as error:
            answer = SubmitAnswer.from_error(error)
        return account_for(plan, answer, await self._keys_honoured(plan.account_id))

    async def follow(self, operation: Operation, account: Account) -> Sequence[Row]:
        return await follow_batch(operation, account, self._keys_honoured)

    async def _keys_honoured(self, account_id: AccountId) -> bool | None:
        """Whether the server has shown, last time it showed anything, that it reads callers' keys. None: never."""
        try:
            found = await in_thread(self._deps.store.operations, account_id=account_id, limit=_REMEMBERED)
        except StoreUnavailable:
            return None
        for operation in found:
            if operation.plan.mode is not self._deps.mode or operation.plan.kind is not Kind.SUBMIT_INSTRUCTIONS:
                continue
            shown = honours_keys({row.answered.key_echo for row in operation.rows if row.answered})
            if shown is not None:
                return shown
        return None


class Cancelling(_InOneRequest):
    """Implements `positions_mcp.guard.kind.OperationKind` for the cancel of one instruction: one DELETE."""

    def draft(self, request: CancelRequest, account: Account) -> Draft:
        return draft_cancel(request, account, self._deps)

    def findings(self, plan: Plan, account: Account) -> Iterator[Finding]:
        """Less cover than the instruction leaves where it stands."""
        (target,), policy = plan.cancels, self._deps.policy_of(plan)
        yield from findings_on_cover_tonight(policy, without(facts_of(account, self._deps), target))
        yield from findings_on_instructions(policy, account, plan.cancels)

    def compare(self, plan: Plan, account: Account) -> Comparison:
        """Whether the instruction still stands as planned, and the consequence of its cancel with it."""
        return compare_cancel(plan, account, self._deps)

    async def send(self, operation: Operation, request: Request) -> Answer:
        """One DELETE of the server's id."""
        (target,) = operation.plan.cancels
        try:
            response = await self._writer().cancel_position_instruction(operation.account_id, target.instruction_id)
        except AnsweredForAnother as error:
            outcome = cancel_of_another(target, error.message, error.request_id)
        else:
            outcome = outcome_of_cancel(operation.plan, response)
        return Answer(dict.fromkeys(request.rows, outcome))

    async def follow(self, operation: Operation, account: Account) -> Sequence[Row]:
        return follow_cancel(operation, account)
