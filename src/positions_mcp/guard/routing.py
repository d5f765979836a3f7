"""Who decides a plan, and how a person outside of the client does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.questions import Questions
from positions_mcp.guard.approval.route import Rung, Step, rung_for
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.mandating import Mandating
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Verdict
from positions_mcp.guard.policy.rules import judge_unread


class _Noted(NamedTuple):
    """What decides, beside what the client can show, who is asked about a plan."""

    verdict: Verdict
    approver_set: bool
    declined_at: datetime | None
    why_no_form: str
    mandates: Sequence[Standing]


class Routing(Mandating):
    """What the guard says of who decides."""

    _accounts: AccountReader
    _questions: Questions

    async def step(
        self, planned: Planned, *, can_elicit: bool, can_open_link: bool = False, mandates: bool = True
    ) -> Step:
        """Who decides: a mandate, the desk by its page, a form, or nobody until a person has done something."""
        plan, deps = planned.operation.plan, self._deps
        noted = await in_thread(self._noted, planned, mandates=mandates)
        step = rung_for(
            noted.verdict,
            deps.policy,
            mode=deps.mode,
            can_elicit=can_elicit,
            can_open_page=can_open_link and noted.approver_set and deps.desk is not None,
            approver_set=noted.approver_set,
            declined_at=noted.declined_at,
            why_no_form=noted.why_no_form,
            now=deps.clock.now(),
            mandate=await self.mandate_for(planned, noted.mandates),
        )
        if step.rung in (Rung.MANDATE, Rung.ELICITATION) or noted.verdict.is_refused:
            return step
        sentence, link = await self.way_to_decide(plan.plan_id)
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
