"""The shared body of the tools that send: ask a person about the plan, and send it where they say yes.

What a mandate covers is sent without a question.

A form in the client is one rung; the desk is the other. In the 2026 era the question is the result of the call, and
the client calls again with the answer: that round must word the same question and must not make a plan. No argument
of a tool has a say in any of this.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Self

import anyio
from mcp.server.elicitation import AcceptedElicitation, DeclinedElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import build_resolver_plans, resolve_arguments
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestURLParams, InputRequiredResult
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from positions_mcp.domain.errors import Overtaken, PositionsError, Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.approval.questions import Rung, Step
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Rule, Verdict
from positions_mcp.guard.reports import OperationReport
from positions_mcp.tools._call import LINK, Call, beside
from positions_mcp.tools._definition import Answer
from positions_mcp.tools._forms import is_too_quick
from positions_mcp.tools._reports import answer_of


async def open_page(call: Call, operation: Operation, link: str) -> bool | InputRequiredResult:
    """Ask the client to open the page. Whether it did; in the 2026 era the request to, which brings a new round.

    That a client accepts means that the link was opened, nothing more: what is decided is in the store.
    """
    question = call.context.guard.question(operation).partition("\n")[0]
    message = f"{question} (plan {operation.operation_id}). Decide on the supervisor's page."
    if call.is_modern:
        asked = ElicitRequest(params=ElicitRequestURLParams(message=message, url=link))
        return InputRequiredResult(input_requests={LINK: asked}, request_state=operation.operation_id)
    await call.say(f"Waiting for a supervisor to decide plan {operation.operation_id}")
    try:
        answer = await call.sdk.elicit_url(message, link, operation.operation_id)
    except MCPError:
        return False
    return answer.action == "accept"


async def page_is_done(call: Call, operation: Operation) -> None:
    """Tell a client of the earlier era that the page needs to be open no longer."""
    if not call.is_modern:
        with suppress(MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            await call.sdk.session.send_elicit_complete(operation.operation_id)


_TOO_LATE = "The form's answer came after the plan was decided, and changed nothing."
_NO_YES = "accept without a yes"
_FIELDS = {"approve": "true or false", "account_number": "text"}
_UNDECIDED = (OperationState.PLANNED, OperationState.AWAITING_APPROVAL)
_ENABLE = "A person can set trading.enabled = true in the configuration (POSITIONS_MCP_TRADING__ENABLED) and restart."


class Approval(BaseModel):
    """The form a person fills in. Only `true` itself is a yes: no text and no number stands for it."""

    # The docstring is for who reads the code, not for the form.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("description", None))

    approve: bool = Field(default=False, strict=True, title="Approve", description="Yes: send exactly what is above")
    _not_as_asked: str = PrivateAttr(default="")

    @classmethod
    @lru_cache(maxsize=4)
    def model_json_schema(cls, *given: Any, **named: Any) -> dict[str, Any]:  # type: ignore[override]
        """As pydantic makes it, once: the SDK asks for it with every question."""
        return super().model_json_schema(*given, **named)

    @classmethod
    def unreadable(cls, why: str) -> Self:
        """What stands for a form that came back as something else: no yes."""
        form = cls()
        form._not_as_asked = why
        return form

    @property
    def not_as_asked(self) -> str:
        """What a form that could not be read was answered with."""
        return self._not_as_asked

    def is_yes(self, plan: Plan) -> bool:
        return self.approve and not asks_for_typing(plan)


class TypedApproval(Approval):
    """The form for real money: a yes also names the account."""

    account_number: str = Field(
        default="", strict=True, title="Account number", description="Type the number of the account above"
    )

    def is_yes(self, plan: Plan) -> bool:
        """Whether this approves the plan and names its account exactly."""
        return self.approve and plan.is_of_account(self.account_number)


def asks_for_typing(plan: Plan) -> bool:
    """Whether a yes also needs the account's number typed: where real money moves."""
    return plan.mode is Mode.LIVE


async def send_if_approved(call: Call, planned: Planned) -> Answer | InputRequiredResult:
    """What became of the plan: sent where a person said yes, otherwise not. Or the question, for the client to ask.

    Raises Refused where policy refuses it or nobody can decide here; UpstreamError, StoreUnavailable: nothing was sent
    from here.
    """
    asked, step = await _put(call, planned)
    if step is not None and step.rung is Rung.MANDATE:
        if (sent := await _sent_under(call, planned, step)) is not None:
            return answer_of(call.context, await _with_what_is_left(call, sent))
        asked, step = await _put(call, planned, mandates=False)
    if asked is not None:
        outcome = await _outcome(call, asked)
        if not isinstance(outcome, InputRequiredResult):
            return answer_of(call.context, await _decided(call, asked, outcome))
        if asked.stage is Stage.AWAITING_APPROVAL:
            return outcome
    if step is None or not step.link or not call.can_open_link:
        return answer_of(call.context, await _without_question(call, planned, step))
    operation = await call.context.guard.ask(planned.operation)
    went = call.went_to_page if call.came_back_from_link else await open_page(call, operation, step.link)
    if isinstance(went, InputRequiredResult):
        return went
    if not went:
        report = await _left_open(call, operation, "The client did not open the supervisor's page.")
        return answer_of(call.context, report)
    report = await _without_question(call, planned, step)
    await page_is_done(call, operation)
    return answer_of(call.context, report)


async def _sent_under(call: Call, planned: Planned, step: Step) -> OperationReport | None:
    """What became of a plan that a mandate covers; None where it does not any more, so that a person is asked."""
    await call.say(f"{step.reason} Sending {planned.operation.operation_id}")
    try:
        return await call.context.guard.send_under(planned.operation, step.mandate, caller=call.caller.identity)
    except Refused:
        return None


async def _put(call: Call, planned: Planned, *, mandates: bool = True) -> tuple[Operation | None, Step | None]:
    """The operation whose question a form in this client decides; or else who decides, None where it is decided."""
    guard, operation = call.context.guard, planned.operation
    if not call.is_retry or call.came_back_from_link:
        if not operation.stage.is_open:
            return None, None
        step = planned.step if mandates else None
        step = step or await guard.step(
            planned, can_elicit=call.can_show_form, can_open_link=call.can_open_link, mandates=mandates
        )
        if step.rung is not Rung.ELICITATION:
            return None, step
        if planned.step is None or operation.stage is Stage.PLANNED:
            operation = await guard.ask(operation, call.can_show)
    # What was approved elsewhere can still be stopped by a no to the form that was open.
    may_answer = operation.stage is Stage.AWAITING_APPROVAL or (call.is_retry and operation.stage is Stage.APPROVED)
    return (operation if may_answer else None), None


@dataclass(frozen=True, slots=True)
class _Question:
    """The SDK's resolver, which asks in the way of either protocol era."""

    question: str
    form: type[Approval]

    async def __call__(self) -> Elicit[Approval]:
        return Elicit(self.question, self.form)


async def _outcome(call: Call, operation: Operation) -> ElicitationResult[Approval] | InputRequiredResult:
    """What the client's form came back with, or in the 2026 era the question as a result.

    Raises ToolError where the client says that it can ask, and then does not.
    """
    await call.say(f"Waiting for a person's answer about plan {operation.operation_id}")
    form = TypedApproval if asks_for_typing(operation.plan) else Approval
    if not call.is_retry:
        call.context.forms.shown(operation.operation_id)
    asking = {"answer": (Resolve(_Question(call.context.guard.question(operation), form)), True)}
    try:
        # Where a session ends, the SDK wakes this with an error and then cancels it: leaving `beside` waits for that.
        async with beside(partial(_note_if_left, call, operation)):
            resolved = await resolve_arguments(asking, build_resolver_plans(asking, set()), {}, call.sdk)
    except anyio.get_cancelled_exc_class():
        await _note_end(call, operation, "The call ended while its form was open.")
        raise
    except MCPError as error:
        raise ToolError(await _not_shown(call, operation, error)) from error
    except ToolError as error:  # accepted, but not filled in as the form asks: not a clear yes
        return AcceptedElicitation(data=Approval.unreadable(_not_as_asked(error)))
    return resolved if isinstance(resolved, InputRequiredResult) else resolved["answer"]


async def _note_if_left(call: Call, operation: Operation) -> None:
    """Write down that the connection is gone over which the form was asked, so that another question may be asked.

    Its answer comes by another request, if it still comes, and counts.
    """
    await call.until_left()
    await _note_end(call, operation, "The connection ended over which it was asked.")


async def _note_end(call: Call, operation: Operation, how: str) -> None:
    with anyio.CancelScope(shield=True), suppress(PositionsError):
        await call.context.guard.note_unanswered(operation, how, client=call.caller.client)


def _not_as_asked(error: BaseException | None) -> str:
    """What was answered: which field came back as something else than it has to be, of the form or of the protocol."""
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__ or error.__context__
    if error is None or not (wrong := [fault for fault in error.errors(include_url=False) if fault["loc"]]):
        return ""
    name = str(wrong[0]["loc"][0])
    if name not in _FIELDS:
        return f"something that the protocol does not have: its {label(name)} is none"
    return f"{_NO_YES}: {name} was not {_FIELDS[name]}"


async def _decided(call: Call, operation: Operation, outcome: ElicitationResult[Approval]) -> OperationReport:
    """Send on a clear yes, record a clear no; whatever else came back decides nothing, and is told as what it is."""
    guard, caller = call.context.guard, call.caller
    seconds = call.context.forms.answered(operation.operation_id)
    if seconds is None:  # another server of the store showed it, when the plan was put before a person
        seconds = (call.context.real_time.now() - operation.updated_at).total_seconds()
    try:
        if isinstance(outcome, AcceptedElicitation) and outcome.data.is_yes(operation.plan):
            await call.say(f"Approved; sending {operation.operation_id}")
            by = {"caller": caller.identity, "client": caller.client}
            report = await guard.send_elicited(operation, **by, rights=caller.rights)
            return await _with_what_is_left(call, report)
        if isinstance(outcome, DeclinedElicitation) and not is_too_quick(seconds):
            return await guard.decline(operation, client=caller.client)
        return await _left_open(call, operation, _what_came_back(outcome, operation.plan, seconds))
    except Refused as refusal:
        # An identical call was answered first, a person decided at the desk, or time ran out: the record knows.
        if not isinstance(refusal, Overtaken) and (await guard.operation(operation.operation_id)).state in _UNDECIDED:
            raise
        return await _became(call, operation, _TOO_LATE)


def _what_came_back(outcome: ElicitationResult[Approval], plan: Plan, seconds: float | None) -> str:
    """How a form that decides nothing was answered, in one sentence."""
    at_once = f", {round((seconds or 0) * 1000)} ms after it was asked" if is_too_quick(seconds) else ""
    if isinstance(outcome, DeclinedElicitation):
        return f"The client declined by itself{at_once}."
    if not isinstance(outcome, AcceptedElicitation):
        return f"The form was dismissed{at_once}."
    if outcome.data.approve and asks_for_typing(plan):
        return f"The client answered accept, but not with the account number {plan.account_id}{at_once}."
    return f"The client answered {outcome.data.not_as_asked or _NO_YES}{at_once}."


async def _left_open(call: Call, operation: Operation, how: str) -> OperationReport:
    """The plan as it stands: nobody has decided, and the answer names how a person can."""
    guard = call.context.guard
    report = await guard.note_unanswered(operation, how, client=call.caller.client)
    if report.state is not OperationState.AWAITING_APPROVAL:
        return await _became(call, operation, how)
    sentence, _ = await guard.way_to_decide(operation.operation_id)
    return report.model_copy(update={"reason": f"{how} Nothing was sent by this call. {sentence}"})


async def _without_question(call: Call, planned: Planned, step: Step | None) -> OperationReport:
    context, operation = call.context, planned.operation
    if step is None:
        answers_a_form = call.is_retry and not call.came_back_from_link
        return await _became(call, operation, _TOO_LATE if answers_a_form else "")
    if step.rung is Rung.REFUSE:
        if not await _is_stopped(call, planned, step.reason):
            return await _became(call, operation)
        verdict, hint = planned.verdict or Verdict(), step.for_the_person
        also = [finding.message for finding in verdict.findings if finding.rule is Rule.LEFT_OUT]
        said = [step.reason, *(["Were it sent:", *also] if also else [])]
        raise Refused(" ".join(said), hint=hint or ("" if context.trading_enabled else _ENABLE))
    await call.say(f"{step.reason} {step.for_the_person}")
    report = await _became(call, await context.guard.ask(operation))
    if report.state is OperationState.AWAITING_APPROVAL:
        return report.model_copy(update={"reason": f"{step.reason} {step.for_the_person}".strip()})
    return report


async def _became(call: Call, operation: Operation, how: str = "") -> OperationReport:
    """What has become of the plan: another call or server, or the desk, may have it sent just now. `how` is added."""
    wait = Wait(call.context.approval_wait_s)
    report = await call.context.guard.wait_and_send(operation, caller=call.caller.identity, wait=wait)
    report = await _with_what_is_left(call, report)
    return report.model_copy(update={"reason": f"{report.reason} {how}".strip()}) if how else report


def is_approved_at_the_desk(operation: Operation) -> bool:
    """Whether a yes from the desk waits for a call to send it."""
    decision = operation.decision
    return operation.stage is Stage.APPROVED and decision is not None and decision.channel is Channel.DESK


async def _is_stopped(call: Call, planned: Planned, reason: str) -> bool:
    """Write down that policy refused it. Whether nothing of it is or was sent: nobody has approved it meanwhile."""
    guard, operation = call.context.guard, planned.operation
    if planned.verdict is not None and planned.verdict.is_refused:
        with suppress(Overtaken):  # an identical call noted it first, or it was decided
            await guard.refuse(operation, reason)
    return (await guard.operation(operation.operation_id)).state in (*_UNDECIDED, OperationState.REFUSED)


async def _with_what_is_left(call: Call, report: OperationReport) -> OperationReport:
    """The account read once after sending. What was sent is told even where that fails."""
    if report.anything_sent is False:
        return report
    try:
        return await call.context.guard.operation(report.operation_id)
    except PositionsError as error:
        return report.model_copy(update={"not_followed": error.message})


async def _not_shown(call: Call, operation: Operation, error: MCPError) -> str:
    how = f"The client said it can show a question to a person, and then did not: {quoted(error.error.message, 120)}."
    report = await _left_open(call, operation, how)
    return report.reason or report.next_step
