"""What a person does over the program, at a terminal or the desk: decide, halt and resume, settle, flatten.

No tool can reach any of this. Whatever lets something be sent, or ends a protection, needs the passphrase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Conclusion, Decision, Operation
from positions_mcp.domain.operation.plan import key_of
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import FIRST_NAME, Member
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt, Trade
from positions_mcp.domain.text import clean
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.closing.draft import draft_flatten
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.closing.targets import Hours
from positions_mcp.guard.deciding import check_digest, to_approve, to_resume, to_settle
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.planner import Planner
from positions_mcp.guard.policy.findings import Finding, Rule, Severity
from positions_mcp.guard.reconcile import Reconciler
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.sending.executor import Executor
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Touches
from positions_mcp.signing.keys import ScryptCost, new_key


@dataclass(frozen=True, slots=True)
class Flattening:
    """A plan to flatten, the question to show, and every rule it overrides."""

    operation: Operation
    question: str
    overrides: tuple[Finding, ...]


class Supervisor:
    """A person's own means."""

    def __init__(self, deps: Dependencies, *, hardness: ScryptCost | None = None) -> None:
        self._deps = deps
        self._hardness = hardness
        self._reconciler = Reconciler(deps)
        self._approvals = ApprovalCheck(deps)
        self._touches = Touches(deps)
        self.enrolling = Enrolling(deps, self._touches)
        """Who may decide, and changes to that."""

    async def set_up_approver(self, passphrase: str, name: str = FIRST_NAME) -> Member:
        """The first approver, who has every right. Raises Refused where there is one."""
        key = await in_thread(partial(new_key, passphrase, self._deps.clock.now(), hardness=self._hardness))
        return await self.enrolling.begin(name, key)

    async def replace_approver(self, old_passphrase: str, new_passphrase: str, *, name: str = "") -> Member:
        """Another passphrase of one's own. Raises Refused where the old one is wrong."""
        member = await self.enrolling.member(name)
        key = await self.enrolling.new_key(member.name, new_passphrase, hardness=self._hardness)
        return await self.enrolling.replace_own_key(member.name, old_passphrase, key)

    async def note_time(self) -> None:
        """Write down what time has decided: expired plans, lapsed approvals, leases that ran out."""
        await self._reconciler.note_time()

    async def question(self, operation_id: str) -> tuple[Operation, str]:
        """An operation and what is to be decided about it."""
        await self._reconciler.note_time()
        operation = await self._deps.operation(operation_id)
        return operation, question(operation.plan)

    async def follow(self, operation_id: str) -> tuple[Operation, str]:
        """An operation with what the account now shows, and why that could not be read (empty where it could)."""
        await self._reconciler.note_time()
        return await self._reconciler.follow(await self._deps.operation(operation_id))

    async def check_passphrase(self, passphrase: str, name: str = "") -> Member:
        """The approver whose passphrase it is. Raises WrongPassphrase; Refused where there is none of that name."""
        member, _ = await self.enrolling.unlocked(name, passphrase)
        return member

    async def note_refusal(self, operation_id: str | None, why: str, *, by: str) -> None:
        """Write down that somebody tried to decide an operation, or to sign in or resume, and was refused."""
        now = self._deps.clock.now()
        content = {"why": clean(why, 200), "by": clean(by, 60)}
        event = "passphrase refused" if operation_id is None else "decision refused"
        await in_thread(self._deps.store.note, event, operation_id, content, now)

    async def approve(
        self, operation_id: str, passphrase: str, *, name: str = "", digest: str | None = None, note: str = ""
    ) -> OperationReport:
        """Sign a yes to a plan. A server of the store sends what was asked for; a preview waits for its call.

        It lapses unless it is sent in time; that of a preview with the plan itself. `digest` is that of the plan as it
        was shown: another one that is stored by now is not signed. `note` is told to who asked, as quoted data. `name`
        may be left out where one person approves alone. Raises Refused where the passphrase is wrong, the plan is not
        open, not asked for or not what was shown, or that person may not approve it.
        """
        await to_approve(self._deps, operation_id, digest)
        who, key = await self.enrolling.signer(name, passphrase, TERMINAL)
        touch = await self._touches.approval(operation_id, who, digest=digest, note=note)
        await touch.sign(key)
        return report(await self._deps.operation(operation_id), self._deps.clock.now())

    async def reject(
        self, operation_id: str, *, by: str, digest: str | None = None, note: str = "", origin: str = TERMINAL
    ) -> OperationReport:
        """Say no. It also stops what was approved and not yet taken for sending. Raises Refused as `approve`."""
        operation, _ = await self.question(operation_id)
        check_digest(operation, digest)
        now = self._deps.clock.now()
        decision = Decision(
            operation_id=operation_id,
            digest=operation.plan.digest,
            channel=Channel.DESK,
            approved=False,
            by=clean(by, 60) or "supervisor",
            decided_at=now,
            expires_at=now,
            note=clean(note, 300),
            origin=clean(origin, 120),
        )
        return await self._decided(decision)

    async def halt(
        self, reason: str, *, by: str, account_id: AccountId | None = None, caller: str = "", kind: Trade | None = None
    ) -> Halt:
        """Stop what is destructive before its next request, in every process on the store; all of it, or what is named.

        Returns the halt that now stands.
        """
        now, why = self._deps.clock.now(), clean(reason, 200) or "no reason given"
        halt = Halt(reason=why, by=clean(by, 60), at=now, account_id=account_id, caller=clean(caller, 200), kind=kind)
        return await in_thread(self._deps.store.set_halt, halt)

    async def resume(self, passphrase: str | None, *, by: str, shown: str | None = None, name: str = "") -> None:
        """End one halt or all. Where there are approvers one of them signs it; otherwise `by` is a label.

        `shown` is what was seen: `digest_of_halt` of one, `digest_of_halts` of all that stand; None ends all. Raises
        Refused where the passphrase is wrong or missing, that person may not, or that is not halted.
        """
        meant = to_resume(await in_thread(self._deps.store.halts), shown)
        if passphrase is None and (await self.enrolling.rosters()).roster is None:
            clear = partial(self._deps.store.clear_halts, expected=meant)
            return await in_thread(clear, clean(by, 60), self._deps.clock.now())
        who, key = await self.enrolling.signer(name, passphrase or "", TERMINAL)
        touch = await self._touches.resumption(who, shown=shown)
        await touch.sign(key)
        return None

    async def settle(
        self,
        operation_id: str,
        row_of: str | int,
        conclusion: Conclusion,
        passphrase: str,
        *,
        evidence: str,
        shown: str | None = None,
        name: str = "",
    ) -> OperationReport:
        """Say what became of an unknown outcome, after having looked elsewhere, or that one in flight is over.

        The row is named by its place in the plan, from 0, or by its instrument. `shown` is `digest_of_row` as the
        person saw it: a row that has changed since is not settled. Raises InvalidInput where there is no such row,
        Refused where it needs no settling, the passphrase is wrong, or that person may not.
        """
        await self._reconciler.note_time()
        to_settle(await self._deps.operation(operation_id), row_of, conclusion, shown)
        who, key = await self.enrolling.signer(name, passphrase, TERMINAL)
        touches = self._touches
        touch = await touches.settlement(operation_id, row_of, conclusion, who, evidence=evidence, shown=shown)
        await touch.sign(key)
        return report(await self._deps.operation(operation_id), self._deps.clock.now())

    async def plan_flatten(self, account_id: AccountId, instruments: Sequence[str] | None, *, by: str) -> Flattening:
        """Whatever is held when it is sent, open orders cancelled first, and every rule this goes against by name.

        Where the book cannot be read, or is incomplete and does not show what is meant, the plan says so, and names the
        whole account or instruments by UUID.
        """
        deps = self._deps
        deps.check_account(account_id)
        request = CloseRequest(
            account_id=account_id,
            instruments=None if instruments is None else tuple(instruments),
            everything=instruments is None,
            cancel_orders=True,
        )
        account = await AccountReader(deps).to_flatten(account_id)
        draft = draft_flatten(request, account, Hours.of(deps))
        plan, verdict = Planner(deps).frozen(request, draft, account, f"terminal {clean(by, 60)}", flatten=True)
        now = plan.created_at
        operation = await in_thread(deps.store.add_plan, plan, key_of("flatten", plan.plan_id), now)
        operation = await in_thread(
            deps.store.move, plan.plan_id, expected=(Stage.PLANNED,), to=Stage.AWAITING_APPROVAL, reason="", now=now
        )
        overrides = [
            each for each in verdict.findings if each.severity is Severity.REFUSE or each.rule is Rule.IN_FLIGHT
        ]
        return Flattening(operation, question(plan), tuple(overrides))

    async def flatten(
        self, flattening: Flattening, passphrase: str, *, typed_account: str, name: str = ""
    ) -> OperationReport:
        """Send it: under a halt, limits and unknown outcomes too. The account is typed as it stands in the question.

        Raises InvalidInput where another one was typed, Refused where the passphrase is wrong or its owner approves
        nothing here.
        """
        plan, deps = flattening.operation.plan, self._deps
        if not plan.is_of_account(typed_account):
            raise InvalidInput(f"The account typed is not {plan.account_id}.", hint="Nothing was sent.")
        who, key = await self.enrolling.signer(name, passphrase, TERMINAL)
        touch = await self._touches.flattening(flattening.operation, who)
        await touch.sign(key)
        async with Executor(deps) as executor:
            done = await executor.run(plan.plan_id, self._approvals.of_terminal(), belongs_to_call=False)
        return report(done, deps.clock.now())

    async def _decided(self, decision: Decision) -> OperationReport:
        """Store a decision at the moment it is written."""
        now = self._deps.clock.now()
        decided = await in_thread(self._deps.store.decide, decision, now)
        self._deps.decided.tell()
        return report(decided, now)
