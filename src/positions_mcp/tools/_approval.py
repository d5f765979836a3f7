"""The elicitation approver: the first rung of the ladder, and the way to the second.

A tool that sends has two resolvers and a body, whatever kind of plan it sends:

    async def plan(ctx, deps, caller, …) -> Planned: …                 # find or make the plan
    async def ask(ctx, deps, planned) -> Elicit[Approval] | Unasked:   # Resolve(plan)
        return await put_question(ctx, deps, planned)
    async def handle(*, deps, caller, planned, outcome, …) -> Answer:  # Resolve(plan), Resolve(ask)
        return answer_of(await decided(deps, caller, planned, outcome))

In the 2026 era resolvers run again when the client comes back with the answer. That round must word the same question
and must not make a plan. No argument of a tool has a say in any of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, ConfigDict, Field

from positions_mcp.domain.errors import Overtaken, PositionsError, Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import quoted
from positions_mcp.guard.approval.route import Rung, Step
from positions_mcp.guard.guard import Wait
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.reports import OperationReport
from positions_mcp.tools._callers import Caller, from_request
from positions_mcp.tools._calls import calling, this_call
from positions_mcp.tools._deps import Deps
from positions_mcp.tools._errors import failure_text
from positions_mcp.tools._late import deps_of
from positions_mcp.tools._reports import answer_of
from positions_mcp.tools._spec import StrictTool

_MODERN = "2026-07-28"
"""The first protocol version whose answers carry questions."""
_ENABLE = "A person can set trading.enabled = true in the configuration (POSITIONS_MCP_TRADING__ENABLED) and restart."


class Approval(BaseModel):
    """The form a person fills in. Only `true` itself is a yes: no text and no number stands for it."""

    # The docstring is for who reads the code, not for the form.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("description", None))

    approve: bool = Field(default=False, strict=True, title="Approve", description="Yes: send exactly what is above")

    def is_yes(self, plan: Plan) -> bool:
        """Whether this approves the plan."""
        return self.approve and not asks_for_typing(plan)


class TypedApproval(Approval):
    """The form for real money: a yes also names the account."""

    account_number: str = Field(
        default="", strict=True, title="Account number", description="Type the number of the account above"
    )

    def is_yes(self, plan: Plan) -> bool:
        """Whether this approves the plan and names its account exactly."""
        return self.approve and self.account_number == str(plan.account_id)


@dataclass(frozen=True, slots=True)
class Unasked:
    """No question was put to a person in this round: the plan is decided or over, or `step` says who decides."""

    step: Step | None = None


def asks_for_typing(plan: Plan) -> bool:
    """Whether a yes also needs the account's number typed: where real money moves."""
    return plan.mode is Mode.LIVE


def can_elicit(ctx: Context[Deps, Any]) -> bool:
    """Whether this client, on this connection, can show a form to a person."""
    declared = ctx.client_capabilities.elicitation if ctx.client_capabilities is not None else None
    if declared is None or (declared.form is None and declared.url is not None):
        return False
    modern = ctx.protocol_version is not None and is_version_at_least(ctx.protocol_version, _MODERN)
    return modern or ctx.session.can_send_request


def is_retry(ctx: Context[Deps, Any]) -> bool:
    """Whether the client comes back to a call that has asked. Such a round never makes a plan."""
    return ctx.input_responses is not None or ctx.request_state is not None


async def put_question(ctx: Context[Deps, Any], deps: Deps, planned: Planned) -> Elicit[Approval] | Unasked:
    """The question of a plan where a form in the client is the rung that applies."""
    operation = planned.operation
    if not is_retry(ctx):
        if not operation.stage.is_open:
            return Unasked()
        step = await deps.guard.step(planned, can_elicit=can_elicit(ctx))
        if step.rung is not Rung.ELICITATION:
            return Unasked(step)
        operation = await deps.guard.ask(operation)
    if operation.stage is not Stage.AWAITING_APPROVAL:
        return Unasked()
    call = this_call()
    call.asked = operation
    await call.say(f"Waiting for a person's answer about plan {operation.operation_id}")
    return Elicit(deps.guard.question(operation), TypedApproval if asks_for_typing(operation.plan) else Approval)


async def decided(deps: Deps, caller: Caller, planned: Planned, outcome: ElicitationResult[Any]) -> OperationReport:
    """What became of the plan: sent where a person said yes, otherwise not.

    Raises:
        Refused: policy refuses it, or nobody can decide here; the error says what a person has to run.
        UpstreamError, StoreUnavailable: nothing was sent.
    """
    call, operation = this_call(), planned.operation
    call.asked = None
    accepted = outcome.data if isinstance(outcome, AcceptedElicitation) else None
    if isinstance(accepted, Unasked):
        return await _without_question(deps, caller, planned, accepted.step)
    try:
        if accepted is None or not accepted.is_yes(operation.plan):
            return await deps.guard.decline(operation, client=caller.client)
        await call.say(f"Approved; sending {operation.operation_id}")
        report = await deps.guard.send_elicited(operation, caller=caller.name, client=caller.client)
    except Overtaken:
        # An identical call was answered first, or time ran out: the record knows.
        return await deps.guard.operation(operation.operation_id)
    return await _with_what_is_left(deps, report)


async def _without_question(deps: Deps, caller: Caller, planned: Planned, step: Step | None) -> OperationReport:
    operation = planned.operation
    if step is None:
        if not is_approved_at_the_desk(operation):
            return await deps.guard.operation(operation.operation_id)
    elif step.rung is Rung.REFUSE:
        if planned.verdict is not None and planned.verdict.is_refused:
            await _note_refusal(deps, operation, step.reason)
        raise Refused(
            f"{step.reason} Nothing was sent.", hint=step.for_the_person or ("" if deps.trading_enabled else _ENABLE)
        )
    else:
        operation = await deps.guard.ask(operation)
        await this_call().say(f"{step.reason} {step.for_the_person}")
    report = await deps.guard.wait_and_send(operation, caller=caller.name, wait=Wait(deps.approval_wait_s))
    if report.state is OperationState.AWAITING_APPROVAL and step is not None:
        return report.model_copy(update={"reason": f"{step.reason} {step.for_the_person}".strip()})
    return await _with_what_is_left(deps, report)


def is_approved_at_the_desk(operation: Operation) -> bool:
    """Whether a yes from the desk waits for a call to send it."""
    decision = operation.decision
    return operation.stage is Stage.APPROVED and decision is not None and decision.channel is Channel.DESK


async def _note_refusal(deps: Deps, operation: Operation, reason: str) -> None:
    try:
        await deps.guard.refuse(operation, reason)
    except Overtaken:
        return  # an identical call noted it first


async def _with_what_is_left(deps: Deps, report: OperationReport) -> OperationReport:
    """The account read once after sending. What was sent is told even where that fails."""
    if report.anything_sent is False:
        return report
    try:
        return await deps.guard.operation(report.operation_id)
    except PositionsError as error:
        return report.model_copy(update={"not_followed": error.message})


class AskingTool(StrictTool):
    """A tool that may ask a person. Whatever comes back that is not a clear yes is a no, and is recorded as one."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """As the base class; progress is reported while the call waits."""
        try:
            deps = await deps_of(context)
        except PositionsError as error:
            raise ToolError(failure_text(error, reads=self.reads)) from error
        async with calling(context, deps.heartbeat_s) as call:
            try:
                return await super().run(arguments, context, convert_result)
            except (ToolError, MCPError) as error:
                asked = call.unanswered()
                if asked is None or isinstance(error, UnexpectedToolError):
                    raise
                if isinstance(error, MCPError):
                    raise ToolError(_not_shown(deps, asked, error)) from error
                return await self._no(deps, context, asked)

    async def _no(self, deps: Deps, context: Context[Any, Any], operation: Operation) -> Any:
        """The form came back accepted, but not filled in as it asks to be."""
        caller = await from_request(context)
        try:
            report = await deps.guard.decline(operation, client=caller.client)
        except PositionsError as error:
            raise ToolError(failure_text(error, reads=False)) from error
        return self._converted(answer_of(report))


def _not_shown(deps: Deps, operation: Operation, error: MCPError) -> str:
    command = deps.guard.command(f"approve {operation.operation_id}")
    return (
        f"The client said it can show a question to a person, and then did not: {quoted(error.error.message, 120)}. "
        f"Nothing was sent. The supervisor can decide: {command}"
    )
