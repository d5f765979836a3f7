"""Who decides a plan, and how a person outside of the client does. What a mandate covers is sent without a question.

A draft of a mandate only notes what it would have done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.coverage import why_not_by_account, why_not_by_terms
from positions_mcp.domain.operation.mandate import Mandate, ShadowNote, Standing
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.approval.mandates import covering, objections
from positions_mcp.guard.approval.questions import Questions, Rung, Step
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Verdict
from positions_mcp.guard.policy.rules import judge_unread
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.sending.executor import Executor
from positions_mcp.guard.threads import in_thread

MOST_NOTED_AT_ONCE = 20
"""Plans that wait for what drafts say of them: of a flood no more are noted."""
_log = logging.getLogger(__name__)


class _Noted(NamedTuple):
    """What decides, beside what the client can show, who is asked about a plan."""

    verdict: Verdict
    approver_set: bool
    declined_at: datetime | None
    """When these targets were last declined."""
    why_no_form: str
    """Why this caller may not ask by a form now; empty if it may."""
    mandates: Sequence[Standing]


class Routing:
    """What the guard says of who decides, and does by mandates."""

    _deps: Dependencies
    _accounts: AccountReader
    _questions: Questions
    _approvals: ApprovalCheck
    _executor: Executor
    _noting: int = 0

    async def step(
        self, planned: Planned, *, can_elicit: bool, can_open_link: bool = False, mandates: bool = True
    ) -> Step:
        """Who decides: a mandate, the desk by its page, a form, or nobody until a person has done something."""
        noted = await in_thread(self._noted, planned, mandates=mandates)
        step = await self._step(planned, noted, can_elicit=can_elicit, can_open_link=can_open_link)
        return step.changed(drafts=_drafts_about(planned.operation.plan, noted.mandates)) if mandates else step

    async def stored_step(self, operation: Operation) -> tuple[Operation, Step]:
        """An operation as the store has it, and who decides it of a form and the desk, in one view.

        Raises InvalidInput where there is none.
        """

        def looked_up() -> tuple[Operation, _Noted]:
            with self._deps.store.at_once():
                stored = self._deps.stored_operation(operation.operation_id)
                return stored, self._noted(planned, mandates=False)

        planned = Planned(operation, None)
        stored, noted = await in_thread(looked_up)
        return stored, await self._step(planned, noted, can_elicit=True, can_open_link=False)

    async def _step(self, planned: Planned, noted: _Noted, *, can_elicit: bool, can_open_link: bool) -> Step:
        step = _highest_rung(
            self._deps,
            noted,
            can_elicit=can_elicit,
            can_open_page=can_open_link and noted.approver_set and self._deps.desk is not None,
            mandate=await self.mandate_for(planned, noted.mandates),
        )
        if step.rung in (Rung.MANDATE, Rung.ELICITATION) or noted.verdict.is_refused:
            return step
        sentence, link = await self.way_to_decide(planned.operation.plan.plan_id)
        return step.changed(for_the_person=sentence, link=link)

    def _noted(self, planned: Planned, *, mandates: bool) -> _Noted:
        """What the store says about who decides a plan. Blocking."""
        plan, deps = planned.operation.plan, self._deps
        with deps.store.at_once():
            verdict = planned.verdict
            if verdict is None:
                # The rules that need the account are asked right before sending.
                verdict = judge_unread(deps.policy_of(plan), plan, self._accounts.record(deps.store, plan.account_id))
            return _Noted(
                verdict=verdict,
                approver_set=deps.store.rosters().roster is not None,
                declined_at=deps.store.declined_at(plan.target_key),
                why_no_form=self._questions.why_not(planned.operation),
                mandates=deps.store.mandates(ending_after=deps.clock.now()) if mandates else (),
            )

    async def way_to_decide(self, operation_id: str) -> tuple[str, str]:
        """How a person decides outside of the client, in one sentence, and the page's address where there is one."""
        deps = self._deps
        if (await in_thread(deps.store.rosters)).roster is None:
            return f"Once, the supervisor runs in a terminal: {deps.command('approver init')}", ""
        url = await deps.desk.open() if deps.desk is not None else None
        if url is None:
            return f"To decide, the supervisor runs: {deps.command(f'approve {operation_id}')}", ""
        link = f"{url}/op/{operation_id}"
        return f"A supervisor decides at {link}", link

    async def mandate_for(self, planned: Planned, standing: Sequence[Standing]) -> Mandate | None:
        """The one of these mandates that an open plan, just judged, is covered by; None where none covers it."""
        operation, verdict, seen, now = planned.operation, planned.verdict, planned.seen, self._deps.clock.now()
        if verdict is None or seen is None or verdict.is_refused or not operation.stage.is_open:
            return None
        held = [each for each in standing if each.mandate.holds_at(now)]
        signed = await self._approvals.on_word_of_signers(held, operation.plan)
        found = covering(signed, operation.plan, now, verdict, seen)
        return None if found is None or await self._approvals.was_declined(operation.plan) else found.mandate

    async def send_under(self, operation: Operation, mandate_id: str, *, caller: str) -> OperationReport:
        """Send an open plan under a mandate, which is counted in the transaction that takes it for sending.

        Raises Refused where it does not cover it, or not any more; StoreUnavailable where it or a use of it was
        altered, or nothing can be written. Nothing was sent.
        """
        under = self._approvals.of_mandate(mandate_id, caller)
        done = await self._executor.run(operation.operation_id, under, belongs_to_call=True)
        return report(done, self._deps.clock.now())

    def note_shadows(self, planned: Planned) -> None:
        """Let drafts note in the background what they would have done with a plan. It neither waits nor fails."""
        if planned.step is not None and planned.step.drafts == ():
            return
        if self._noting < MOST_NOTED_AT_ONCE and planned.verdict is not None and planned.seen is not None:
            self._noting += 1
            if not self._executor.aside(self._note, planned):
                self._noting -= 1

    async def _note(self, planned: Planned) -> None:
        try:
            drafts = planned.step.drafts if planned.step is not None else None
            if drafts is None:
                standing = await in_thread(self._deps.store.mandates, ending_after=self._deps.clock.now())
                drafts = _drafts_about(planned.operation.plan, standing)
            if notes := [_shadow(draft, planned) for draft in drafts]:
                await in_thread(self._deps.store.note_shadows, notes)
        except PositionsError as error:
            _log.info("what drafts of mandates would do was not noted: %s", error.message)
        except Exception:  # whatever it is, planning goes on
            _log.exception("what drafts of mandates would do was not noted")
        finally:
            self._noting -= 1


def _drafts_about(plan: Plan, standing: Sequence[Standing]) -> tuple[Mandate, ...]:
    """Those of a plan's account; none where it is a person's own way out."""
    of_it, drafts = (plan.mode, plan.account_id), [each.mandate for each in standing if each.mandate.is_draft]
    return tuple(each for each in drafts if (each.terms.mode, each.terms.account_id) == of_it and not plan.flatten)


def _shadow(draft: Mandate, planned: Planned) -> ShadowNote:
    """What a draft would have done with one plan, apart from how often it was used by then."""
    plan, verdict, terms = planned.operation.plan, planned.verdict, draft.terms
    size = [f"${plan.measure:,f} is more than its ${terms.per_operation:,f} per operation."]
    return ShadowNote(
        mandate_id=draft.mandate_id,
        plan_id=plan.plan_id,
        target_key=plan.target_key,
        symbols=tuple(target.symbol for target in plan.targets),
        measure=plan.measure,
        at=plan.created_at,
        why_not=(
            *why_not_by_terms(terms, plan),
            *(size if plan.measure > terms.per_operation else []),
            *why_not_by_account(terms, plan, planned.seen or {}),
            *(objections(verdict) if verdict else ()),
        ),
    )


def _highest_rung(
    deps: Dependencies, noted: _Noted, *, can_elicit: bool, can_open_page: bool, mandate: Mandate | None
) -> Step:
    """The highest rung that applies. Nothing a caller passes as a tool argument changes it.

    `can_open_page`: the client opens links, there is a page to open, and somebody can decide there. `mandate` covers
    the plan: but for what a person has just declined, nobody is asked.
    """
    verdict, policy, declined_at = noted.verdict, deps.policy, noted.declined_at
    if verdict.is_refused:
        return Step(rung=Rung.REFUSE, reason=" ".join(finding.message for finding in verdict.refusals))
    why_desk = [finding.message for finding in verdict.needs_desk]
    rests = declined_at is not None and deps.clock.now() < declined_at + policy.decline_rest
    if mandate is not None and not rests:
        said = f"Under mandate {mandate.mandate_id}, signed by {mandate.signed_by}."
        return Step(rung=Rung.MANDATE, reason=said, mandate=mandate.mandate_id)
    if declined_at is not None and rests:
        at = f"{moment(declined_at)}{deps.mode.real_clock}"
        minutes = int(policy.decline_rest.total_seconds() // 60)
        why_desk.append(
            f"A person declined these targets at {at}; they are not asked about again here for {minutes} minutes."
        )
    if noted.why_no_form:
        why_desk.append(noted.why_no_form)
    if not can_elicit and not can_open_page:
        why_desk.append("The question cannot be shown to a person in this client.")
    if noted.approver_set and (why_desk or can_open_page):
        return Step(rung=Rung.DESK, reason=" ".join(why_desk))
    if not why_desk:
        return Step(rung=Rung.ELICITATION)
    return Step(
        rung=Rung.REFUSE,
        reason=" ".join([*why_desk, "No approver is set up, so nobody can decide on the supervisor's page."]),
    )
