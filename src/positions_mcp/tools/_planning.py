"""From a tool's arguments to the plan they mean: the one named, the one under way, or a new one. And to sending it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal, Protocol

from mcp_types import InputRequiredResult
from pydantic import Field

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, instruction_id
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.text import label
from positions_mcp.guard.approval.questions import Rung, Step
from positions_mcp.guard.asking import CanShow
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.planner import Choosing, Planned
from positions_mcp.guard.policy.findings import Rule, Verdict
from positions_mcp.tools._approval import is_approved_at_the_desk, send_if_approved
from positions_mcp.tools._arguments import CONTRACTS, KEY, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer
from positions_mcp.tools._reports import output_of


class Row(ToolArguments):
    """One row of the argument `instructions`."""

    instrument: Annotated[str, Field(min_length=1, max_length=64, description="OSI option symbol or UUID")]
    instruction_type: Literal["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"]
    quantity: Annotated[str, Field(pattern=CONTRACTS, description="Whole contracts")]
    instruction_id: Annotated[str | None, Field(pattern=KEY, description="Your idempotency key; default generated")] = (
        None
    )

    def as_asked(self) -> InstructionRow:
        return InstructionRow(
            instrument=self.instrument,
            instruction_type=self.instruction_type,
            quantity=self.quantity,
            instruction_id=self.instruction_id,
        )


def close_request(
    account_id: int | None,
    instruments: Sequence[str] | None,
    cancel_orders: bool | None,
    *,
    everything: bool = False,
    purpose: str | None = None,
) -> CloseRequest:
    return CloseRequest(
        account_id=_account(account_id),
        instruments=None if instruments is None else tuple(instruments),
        everything=everything,
        cancel_orders=cancel_orders,
        purpose=purpose or "",
    )


def submit_request(
    account_id: int | None, instructions: Sequence[Row] | None, *, purpose: str | None = None
) -> SubmitRequest:
    rows = None if instructions is None else tuple(row.as_asked() for row in instructions)
    return SubmitRequest(account_id=_account(account_id), rows=rows, purpose=purpose or "")


def cancel_request(account_id: int | None, wanted: str | None) -> CancelRequest:
    """To cancel the instruction of that id. Raises InvalidInput."""
    if wanted is not None and wanted.strip().startswith("op-"):
        raise InvalidInput(
            f"{label(wanted)} is an operation, not an instruction.",
            hint="list_instructions shows the ids of instructions.",
        )
    checked = None if wanted is None else instruction_id(wanted.strip())
    return CancelRequest(account_id=_account(account_id), instruction_id=checked)


def _account(account_id: int | None) -> AccountId | None:
    return None if account_id is None else AccountId(account_id)


Request = CloseRequest | SubmitRequest | CancelRequest


class Sendable(Protocol):
    """The arguments of a tool that sends: what is asked for, or a plan that was made of it."""

    @property
    def plan_id(self) -> str | None: ...

    def request(self) -> Request: ...


async def send(call: Call, given: Sendable) -> Answer | InputRequiredResult:
    """Send what is asked for if a person says yes. Raises as `send_if_approved`, and the guard's `plan`, do."""
    return await send_if_approved(call, await _plan_of(call, given.request(), given.plan_id))


async def _plan_of(call: Call, request: Request, plan_id: str | None) -> Planned:
    if plan_id is None:
        return await new_plan(call, request, create=not call.is_retry, asking=call.can_show)
    planned = await call.context.guard.continue_plan(
        plan_id, request, caller=call.caller.identity, judged=not call.is_retry, rights=call.caller.rights
    )
    call.context.account(planned.operation.plan.account_id)  # a caller may have lost it since
    if not call.is_retry:
        await _refuse_used(call, planned)
    return planned


async def new_plan(
    call: Call,
    request: Request,
    *,
    create: bool = True,
    choose: Choosing | None = None,
    chosen_by: Hashable = None,
    asking: CanShow | None = None,
) -> Planned:
    """The plan that these arguments mean, whether it is new or under way. Identical calls at once share it.

    `choose` completes the request from the book; it does the same for whom `chosen_by` is the same.
    """
    context, caller, rights = call.context, call.caller.identity, call.caller.rights
    whole = replace(request, account_id=context.account(request.account_id))

    async def plan() -> Planned:
        asked = partial(context.guard.plan, whole, caller=caller, rights=rights)
        return await asked(create=create, choose=choose, asking=asking)

    return await context.planning.run((caller, rights, whole, create, chosen_by, asking), plan)


async def _refuse_used(call: Call, planned: Planned) -> None:
    """Raise Refused where the plan that was named is over: it is used once."""
    operation = planned.operation
    if operation.stage.is_open or is_approved_at_the_desk(operation):
        return
    report = await call.context.guard.operation(operation.operation_id)
    why = f" {report.reason}" if report.reason else ""
    raise Refused(
        f"Plan {operation.operation_id} cannot be used again: it is {report.state}.{why}", hint=report.next_step
    )


_MOST_FINDINGS = 20


def has_limits(policy: Policy) -> bool:
    """Whether any limit in dollars is in force, so that a plan's notional matters."""
    return any(each is not None for each in (policy.max_notional, policy.max_daily_notional, policy.desk_above))


def policy_of(verdict: Verdict) -> str:
    """`refused`, `needs the supervisor` or `allowed`."""
    return "refused" if verdict.is_refused else "needs the supervisor" if verdict.needs_desk else "allowed"


def findings_of(verdict: Verdict) -> list[str]:
    """Each finding in its own words: the gravest first, and of many how many more."""
    said = [f"{finding.severity}: {finding.message}" for finding in verdict.findings[:_MOST_FINDINGS]]
    more = len(verdict.findings) - len(said)
    return [*said, f"{more} more, none graver; the person's question has every warning"] if more else said


async def standing(call: Call, planned: Planned) -> tuple[str, str]:
    """That nothing was sent, and the call that goes on; of a plan of the same arguments under way, how it stands."""
    plan = planned.operation.plan
    if planned.operation.stage.is_open:
        step = await call.context.guard.step(planned, can_elicit=call.can_show_form)
        stands = f"Nothing was sent. {plan.said_of_replaced}".rstrip()
        verdict = planned.verdict or Verdict()
        if verdict.is_refused:
            return stands, f"It cannot be sent as it is, for what is refused above.{_remedy(plan, verdict)}"
        return stands, next_of(plan, step, verdict)
    now = output_of(call.context, await call.context.guard.operation(plan.plan_id))
    return f"It is under way: {now.summary}", now.next


def _remedy(plan: Plan, verdict: Verdict) -> str:
    """What to preview instead where the plan would take the cover from under a short option; empty otherwise."""
    roots = sorted({_underlying(target.symbol) for target in plan.closes})
    if not roots or not any(finding.rule is Rule.UNCOVERED for finding in verdict.refusals):
        return ""
    if len(roots) > 1:
        return " Preview the short options that it would leave uncovered together with these."
    return f' Preview together what covers and what is covered: preview_close with underlying="{label(roots[0])}".'


def _underlying(symbol: str) -> str:
    contract = parse_option_symbol(symbol)
    return contract.underlying_root if contract else symbol


def next_of(plan: Plan, step: Step, verdict: Verdict) -> str:
    """The call that goes on, who then decides, and why as far as the findings do not say it already."""
    call, why = f"{plan.kind} with plan_id={plan.plan_id}", step.reason
    for finding in verdict.needs_desk[:_MOST_FINDINGS]:
        why = why.replace(finding.message, "", 1).strip()
    because = " ".join(part for part in (why, step.for_the_person) if part)
    if step.rung is Rung.MANDATE:
        return f"{call} sends it at once, without a question. {step.reason}"
    if step.rung is Rung.ELICITATION:
        return f"{call} asks a person in this client."
    if step.rung is Rung.DESK:
        return f"{call} waits for the supervisor. {because}"
    return f"It cannot be sent now. {because}".strip()
