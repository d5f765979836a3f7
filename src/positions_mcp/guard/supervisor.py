"""What a person does over the program, at a terminal or the desk: decide, halt and resume, settle, flatten.

No tool can reach any of this. Whatever lets something be sent, or ends a protection, needs the passphrase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Conclusion, Decision, Operation, Resolution, Row
from positions_mcp.domain.operation.plan import Plan, key_of
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Approver, Halt, JournalEntry, Trade, Verification
from positions_mcp.domain.text import clean, quoted
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval import statements
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.approval.question import question
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.closing.draft import draft_flatten
from positions_mcp.guard.closing.hours import Hours
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.planner import Planner
from positions_mcp.guard.policy.findings import Finding, Rule, Severity
from positions_mcp.guard.reconcile import Reconciler
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.sending.executor import Executor
from positions_mcp.signing.keys import Hardness


@dataclass(frozen=True, slots=True)
class Flattening:
    """A plan to flatten, the question to show, and every rule it overrides."""

    operation: Operation
    question: str
    overrides: tuple[Finding, ...]


class Supervisor:
    """A person's own means."""

    def __init__(self, deps: Dependencies, *, hardness: Hardness | None = None) -> None:
        self._deps = deps
        self._hardness = hardness
        self._reconciler = Reconciler(deps)
        self._approvals = ApprovalCheck(deps)

    async def set_up_approver(self, passphrase: str) -> Approver:
        """The first approver. Raises Refused where there is one: replacing it needs its passphrase."""
        if await in_thread(self._deps.store.approver) is not None:
            raise Refused("There is an approver already.", hint="Replacing it needs its passphrase.")
        return await self._keep_approver(passphrase, None, "")

    async def replace_approver(self, old_passphrase: str, new_passphrase: str) -> Approver:
        """Another passphrase. Raises Refused where the old one is wrong."""
        return await self._keep_approver(new_passphrase, await self._approver(), old_passphrase)

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

    def words(self, operation: Operation) -> str:
        """What is to be decided about an operation, as the terminal and the page show it."""
        return question(operation.plan)

    async def has_approver(self) -> bool:
        """Whether anybody can approve here."""
        return await in_thread(self._deps.store.approver) is not None

    async def check_passphrase(self, passphrase: str) -> None:
        """Raise WrongPassphrase unless it is the approver's; Refused where there is none."""
        await in_thread(statements.check_passphrase, await self._approver(), passphrase)

    async def note_refusal(self, operation_id: str | None, why: str, *, by: str) -> None:
        """Write down that somebody tried to decide an operation, or to sign in or resume, and was refused."""
        now = self._deps.clock.now()
        content = {"why": clean(why, 200), "by": clean(by, 60)}
        event = "passphrase refused" if operation_id is None else "decision refused"
        await in_thread(self._deps.store.note, event, operation_id, content, now)

    async def approve(
        self, operation_id: str, passphrase: str, *, digest: str | None = None, note: str = "", origin: str = "terminal"
    ) -> OperationReport:
        """Sign a yes to a plan. A server of the store sends what was asked for; a preview waits for its call.

        It lapses unless it is sent in time; that of a preview with the plan itself. `digest` is that of the plan as it
        was shown: another one that is stored by now is not signed. `note` is told to who asked, as quoted data.

        Raises:
            Refused: wrong passphrase, or nobody asked to send it, or it is decided or expired, or not what was shown.
        """
        operation, _ = await self.question(operation_id)
        _check_digest(operation, digest)
        approver = await self._approver()
        if operation.plan.flatten:
            raise Refused(f"Operation {operation_id} is a person's own: only who planned it sends it.")
        if not operation.stage.is_open or operation.plan.is_expired(self._deps.clock.now()):
            raise Refused(f"Operation {operation_id} is {operation.state(self._deps.clock.now())}: nothing to approve.")
        previewed = operation.stage is Stage.PLANNED
        lifetime = None if previewed else self._deps.policy.approval_lifetime
        decision = await self._signed(operation.plan, passphrase, approver, Channel.DESK, lifetime)
        decision = decision.changed(note=clean(note, 300), origin=clean(origin, 120), of_preview=previewed)
        return await self._decided(decision)

    async def reject(
        self, operation_id: str, *, by: str, digest: str | None = None, note: str = "", origin: str = "terminal"
    ) -> OperationReport:
        """Say no. It also stops what was approved and not yet taken for sending. Raises Refused as `approve`."""
        operation, _ = await self.question(operation_id)
        _check_digest(operation, digest)
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

    async def resume(self, passphrase: str | None, *, by: str, shown: str | None = None) -> None:
        """End one halt or all. Where there is an approver it takes the passphrase.

        `shown` is what was seen: `digest_of_halt` of one, `digest_of_halts` of all that stand; None ends all.

        Raises:
            Refused: the passphrase is wrong or missing, nothing is halted, or it is another halt than was shown.
        """
        standing = await in_thread(self._deps.store.halts)
        if not standing:
            raise Refused("Nothing is halted.")
        meant = standing if shown in (None, digest_of_halts(standing)) else ()
        meant = meant or tuple(halt for halt in standing if digest_of_halt(halt) == shown)
        if not meant:
            raise Refused("The halt is another one than was shown.", hint="It stands. Look at it again.")
        if passphrase is not None or await self._approvals.approver() is not None:
            await self.check_passphrase(passphrase or "")
        await in_thread(self._deps.store.clear_halts, clean(by, 60), self._deps.clock.now(), expected=meant)

    async def settle(
        self,
        operation_id: str,
        row_of: str | int,
        conclusion: Conclusion,
        passphrase: str,
        *,
        by: str,
        evidence: str,
        shown: str | None = None,
    ) -> OperationReport:
        """Say what became of an unknown outcome, after having looked elsewhere, or that one in flight is over.

        The row is named by its place in the plan, from 0, or by its instrument. `shown` is `digest_of_row` as the
        person saw it: a row that has changed since is not settled.

        Raises:
            InvalidInput: no such row.
            Refused: there is nothing to settle, it is not what was shown, or the passphrase is wrong.
        """
        await self._reconciler.note_time()
        operation = await self._deps.operation(operation_id)
        row = _row_called(operation, row_of)
        symbol = operation.plan.targets[row.position].symbol
        if shown not in (None, digest_of_row(operation, row)):
            raise Refused(
                f"What is known of {symbol} in {operation_id} has changed since it was shown.",
                hint="Nothing was settled. Look at it again.",
            )
        in_flight = row.has_effect and not row.ended and conclusion is Conclusion.TOOK_EFFECT
        if not row.is_in_doubt and not in_flight:
            raise Refused(
                f"{symbol} in {operation_id} is {row.state}: there is nothing to settle.", hint="Nothing was settled."
            )
        await self.check_passphrase(passphrase)
        now = self._deps.clock.now()
        if in_flight:
            settled = row.changed(
                ended=True, detail=f"{row.detail} Settled by {clean(by, 60)}: {quoted(evidence, 300)}".strip()
            )
        else:
            resolution = Resolution(
                conclusion=conclusion, by=clean(by, 60), evidence=clean(evidence, 300), at=now, by_person=True
            )
            settled = row.changed(resolution=resolution, ended=conclusion is Conclusion.DID_NOT)
        return report(await in_thread(self._deps.store.observe, operation, [settled], now, event="settled"), now)

    async def verify(self) -> Verification:
        """Walk the whole journal and compare what it describes."""
        return await in_thread(self._deps.store.verify)

    async def journal(self, operation_id: str | None = None, *, limit: int = 1000) -> tuple[JournalEntry, ...]:
        """The last entries of the journal."""
        return await in_thread(self._deps.store.journal, operation_id, limit=limit)

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
            deps.store.move,
            plan.plan_id,
            expected=(Stage.PLANNED,),
            to=Stage.AWAITING_APPROVAL,
            reason="",
            now=now,
        )
        overrides = [
            each for each in verdict.findings if each.severity is Severity.REFUSE or each.rule is Rule.IN_FLIGHT
        ]
        return Flattening(operation, question(plan), tuple(overrides))

    async def flatten(self, flattening: Flattening, passphrase: str, *, typed_account: str) -> OperationReport:
        """Send it: under a halt, limits and unknown outcomes too. The account is typed as it stands in the question.

        Raises:
            InvalidInput: another account was typed.
            Refused: wrong passphrase, or no approver is set up.
        """
        plan, deps = flattening.operation.plan, self._deps
        if not plan.is_of_account(typed_account):
            raise InvalidInput(f"The account typed is not {plan.account_id}.", hint="Nothing was sent.")
        approver = await self._approver()
        lifetime = deps.policy.approval_lifetime
        decision = await self._signed(plan, passphrase, approver, Channel.TERMINAL, lifetime)
        await self._decided(decision)
        async with Executor(deps) as executor:
            done = await executor.run(plan.plan_id, await self._approvals.of_terminal(), belongs_to_call=False)
        return report(done, deps.clock.now())

    async def _approver(self) -> Approver:
        approver = await self._approvals.approver()
        if approver is None:
            raise Refused("No approver is set up.", hint="Run: positions-mcp approver init")
        return approver

    async def _signed(
        self, plan: Plan, passphrase: str, approver: Approver, channel: Channel, lifetime: timedelta | None
    ) -> Decision:
        sign = partial(statements.sign, approver, passphrase, plan, channel=channel, lifetime=lifetime)
        return await in_thread(sign, clock=self._deps.clock)

    async def _decided(self, decision: Decision) -> OperationReport:
        """Store a decision at the moment it is written: signing took a while."""
        now = self._deps.clock.now()
        decided = await in_thread(self._deps.store.decide, decision, now)
        self._deps.decided.tell()
        return report(decided, now)

    async def _keep_approver(self, passphrase: str, replacing: Approver | None, old_passphrase: str) -> Approver:
        now = self._deps.clock.now()
        approver = await in_thread(
            statements.new_approver,
            passphrase,
            now,
            hardness=self._hardness,
            replacing=replacing,
            old_passphrase=old_passphrase,
        )
        replaced = replacing.public_key if replacing else None
        await in_thread(self._deps.store.set_approver, approver, replacing=replaced, now=now)
        return approver


def _check_digest(operation: Operation, shown: str | None) -> None:
    if shown not in (None, operation.plan.digest):
        raise Refused(
            f"Operation {operation.operation_id} is not the plan that was shown.",
            hint="Nothing was decided. The store was altered: run positions-mcp operations verify.",
        )


def digest_of_row(operation: Operation, row: Row) -> str:
    """The same as long as what is known of a row says the same; when it was last looked at does not count."""
    return key_of("row", operation.plan.digest, row.model_dump(mode="json", exclude={"observed_at"}))


def digest_of_halt(halt: Halt) -> str:
    """Tells one halt from another."""
    return key_of("halt", halt.model_dump(mode="json"))


def digest_of_halts(halts: Sequence[Halt]) -> str:
    """Tells what is halted, all in all, from what was before."""
    return key_of("halts", *(halt.model_dump(mode="json") for halt in halts))


def _row_called(operation: Operation, name: str | int) -> Row:
    if isinstance(name, int):
        if 0 <= name < len(operation.rows):
            return operation.rows[name]
        raise InvalidInput(f"Operation {operation.operation_id} has no row {name + 1}.", hint="Nothing was settled.")
    named = [
        row
        for target, row in zip(operation.plan.targets, operation.rows, strict=True)
        if name.strip().upper() in (target.symbol.upper(), target.instrument_id.upper())
    ]
    # A batch may instruct one contract twice: by name, the row meant is one that is not settled yet.
    for row in sorted(named, key=lambda row: not row.is_in_doubt):
        return row
    raise InvalidInput(f"Operation {operation.operation_id} has no row of that name.", hint="Name its symbol.")
