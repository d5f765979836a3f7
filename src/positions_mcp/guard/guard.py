"""The guard as tools see it: plan, ask, send what a person approved, follow. Nothing is sent by any other way.

One destructive call:

    planned = await guard.plan(request, …)          # or guard.continue_plan(plan_id, request, …)
    step = await guard.step(planned, can_elicit=…)  # who may decide; `planned.step` where it was planned with `asking`
    await guard.ask(planned.operation)              # the question is now before a person
    report = await guard.send_elicited(…)           # yes in the client: records it and sends
    report = await guard.wait_and_send(…)           # or: waits for the desk, and sends when it says yes
    report = await guard.decline(…)                 # or: no
"""

from __future__ import annotations

import logging
from functools import partial
from types import TracebackType
from typing import Self

import anyio

from positions_mcp.domain.errors import InvalidInput, Overtaken, PositionsError, Refused, Sent, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.search import EVERYBODY, Search, Viewer
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import clean
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.check import ApprovalCheck
from positions_mcp.guard.approval.questions import Questions, Rung
from positions_mcp.guard.asking import Asking, CanShow, Wait, Waiting
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kind import PlanRequest
from positions_mcp.guard.planner import Choosing, Decider, Planned, Planner, other_rights
from positions_mcp.guard.reconcile import ChangeFeed, Reconciler
from positions_mcp.guard.reports import GuardStatus, OperationReport, overview, report
from positions_mcp.guard.routing import Routing
from positions_mcp.guard.sending.dispatcher import Dispatcher
from positions_mcp.guard.sending.executor import Executor, FormApproval
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Clock

DESK_POLL_S = 0.1
DISPATCH_AFTER_S = 5.0
"""A server that has just started looks for what another one left approved; its first answers come before that."""
FOLLOW_POLL_S = 1.0

_UNDER_WAY = (
    OperationState.PLANNED,
    OperationState.AWAITING_APPROVAL,
    OperationState.APPROVED,
    OperationState.SENDING,
)
_log = logging.getLogger(__name__)


class Guard(Asking, Routing):
    """Everything a tool may do about destructive operations. Inside `async with`, approved ones can be sent."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._questions = Questions(deps)
        self._planner = Planner(deps, is_asked=self._questions.is_open)
        self._accounts = AccountReader(deps)
        self._reconciler = Reconciler(deps)
        self.changes = ChangeFeed(deps, self._reconciler)
        self._executor = Executor(deps)
        self._approvals = ApprovalCheck(deps)
        self._dispatcher = Dispatcher(deps, self.send_approved)

    async def __aenter__(self) -> Self:
        await self._executor.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._executor.__aexit__(kind, error, traceback)

    @property
    def policy(self) -> Policy:
        return self._deps.policy

    @property
    def clock(self) -> Clock:
        """What expiry and leases go by."""
        return self._deps.clock

    def close(self) -> None:
        """Send nothing more: the request in flight finishes, the rest of its batch is NOT_SENT."""
        self._executor.close()

    def leave(self) -> None:
        """Begin nothing by itself any more; calls go on."""
        self._dispatcher.rest()

    async def settled(self) -> None:
        """Wait until nothing is being sent."""
        await self._executor.until_idle()

    async def plan(
        self,
        request: PlanRequest,
        *,
        caller: str,
        create: bool = True,
        choose: Choosing | None = None,
        asking: CanShow | None = None,
        rights: tuple[str, ...] = (),
    ) -> Planned:
        """A frozen plan of what is asked for, of whatever kind. `choose` completes it from the book that is read.

        The same arguments from the same caller find the plan under way. With `create` False (the retry round of a
        question) the newest plan is answered whatever became of it, and none is ever made. With `asking` a new plan
        says who decides it; where a form does, it is put before a person as it is stored. `rights` are the caller's
        where it has signed in: a plan keeps their names, and is judged by their limits.

        Raises:
            InvalidInput, UnknownInstrument: what was asked for cannot be planned; InvalidBatch has every reason.
            Refused: no caller, or nothing to continue.
            UpstreamError, StoreUnavailable: reading or recording failed; nothing was sent.
        """
        self._dispatcher.wake()
        if not create:
            return await self._planner.find(request, caller)
        await self._reconciler.note_time()
        decider = await self._decider(asking) if asking else None
        planned = await self._planner.plan(request, caller, choose, decider, rights)
        self.note_shadows(planned)
        return planned

    async def _decider(self, asking: CanShow) -> Decider:
        process = await self._shows(asking) if asking.form else ""
        return Decider(partial(self.step, can_elicit=asking.form, can_open_link=asking.link), process)

    async def send_what_is_approved(self) -> None:
        """Send what is approved at the desk for this server's mode and accounts, until cancelled (G-19)."""
        await self._dispatcher.run(idle_start=lambda: self._deps.sleep(DISPATCH_AFTER_S))

    async def continue_plan(
        self,
        plan_id: str,
        request: PlanRequest | None = None,
        *,
        caller: str,
        judged: bool = True,
        rights: tuple[str, ...] = (),
    ) -> Planned:
        """The plan of that id; what is asked for with it must say the same. `judged` asks policy where it is open.

        Raises InvalidInput where there is none or an argument contradicts it, Refused where it is another caller's, or
        was made with other rights.
        """
        await self._reconciler.note_time()
        return await self._planner.continue_plan(plan_id, request, caller=caller, judged=judged, rights=rights)

    def command(self, words: str) -> str:
        """A command for a person to run, as it has to be typed to reach this store."""
        return self._deps.command(words)

    async def send_elicited(
        self, operation: Operation, *, caller: str, client: str, rights: tuple[str, ...] = ()
    ) -> OperationReport:
        """Record a yes that the client's form answered, and send. The approval belongs to this call and ends with it.

        Raises:
            Refused: policy, or another caller's plan; Overtaken where it was decided or sent already.
            StoreUnavailable: nothing was sent.
        """
        plan, now = operation.plan, self._deps.clock.now()
        self._planner.check_caller(operation, caller)
        stored, step = await self.stored_step(operation)
        if not stored.stage.is_open:
            raise Overtaken(f"Plan {plan.plan_id} was decided otherwise meanwhile: it is {stored.state(now)}.")
        if stored.plan.digest != plan.digest:
            raise Refused(
                f"Plan {plan.plan_id} in the store is not the one that was asked about.",
                hint=f"A person must look: `{self.command('operations verify')}`",
            )
        if why := other_rights(plan, rights):
            await self.note_not_taken(operation, why)
            raise Refused(why, hint="Plan again.")
        if step.rung is not Rung.ELICITATION:
            await self.note_not_taken(operation, step.reason)
            raise Refused(step.reason, hint=step.for_the_person)
        decision = Decision(
            operation_id=plan.plan_id,
            digest=plan.digest,
            channel=Channel.ELICITATION,
            approved=True,
            by=f"client {clean(client, 60) or 'unnamed'}",
            decided_at=now,
            expires_at=now + self._deps.policy.approval_lifetime,
            call=self._deps.ids.new(),
        )
        elicited = FormApproval(stored, decision, self._approvals.of_call(decision, caller))
        try:
            done = await self._executor.run(plan.plan_id, elicited, belongs_to_call=True)
        except Refused as refused:
            stage = (await self._deps.operation(plan.plan_id)).stage
            if stage.is_open or stage is Stage.EXPIRED:
                await self.note_not_taken(operation, refused.message)
            raise
        return report(done, self._deps.clock.now())

    async def send_approved(self, operation_id: str, *, caller: str) -> OperationReport:
        """Send what the desk approved. Its signature is verified against the approver's key first. Raises as above."""
        check = self._approvals.of_desk(caller)
        done = await self._executor.run(operation_id, check, belongs_to_call=False)
        return report(done, self._deps.clock.now())

    async def wait_and_send(self, operation: Operation, *, caller: str, wait: Wait) -> OperationReport:
        """Wait for the desk, telling how long; send as soon as it says yes. Else the report says where it stands.

        What another call or server is sending is waited for. The wait bounds the whole call, but for one reading: what
        is being sent then goes on without it.
        """
        self._planner.check_caller(operation, caller)
        waiting, left_behind = Waiting(self._deps, wait), False
        try:
            while True:
                await self._reconciler.note_time()
                operation = await self._deps.operation(operation.operation_id)
                state = operation.state(self._deps.clock.now())
                by_desk = operation.decision is not None and operation.decision.channel is Channel.DESK
                if state is OperationState.APPROVED and by_desk:
                    with anyio.move_on_after(waiting.time_left) as limit:
                        try:
                            return await self.send_approved(operation.operation_id, caller=caller)
                        except Overtaken:
                            _log.debug("%s is sent by another call or server", operation.operation_id)
                    left_behind = left_behind or limit.cancelled_caught
                elif state not in _UNDER_WAY:
                    return report(operation, self._deps.clock.now())
                being_sent = state in (OperationState.APPROVED, OperationState.SENDING)
                if waiting.is_over and not (being_sent and waiting.is_within_a_reading):
                    return report(await self._deps.operation(operation.operation_id), self._deps.clock.now())
                await waiting.pause(DESK_POLL_S)
        except InvalidInput as error:  # it was there when this began
            raise _lost(operation) from error
        except PositionsError as error:
            error.sent = Sent.UNKNOWN if left_behind else error.sent
            raise

    async def operation(
        self, operation_id: str, *, viewer: Viewer = EVERYBODY, wait: Wait | None = None
    ) -> OperationReport:
        """One operation, followed: the account is read again, and unknown outcomes are reconciled where possible.

        With `wait` it is read until nothing more will happen by itself; that bounds the whole call, but for one
        reading. Only what `viewer` sees is found.
        """
        waiting = Waiting(self._deps, wait or Wait(0))
        while True:
            await self._reconciler.note_time()
            operation = await self._planner.seen_by(viewer, operation_id)
            operation, not_followed = await self._reconciler.follow(operation, within_s=waiting.time_left)
            under_way = operation.stage in (Stage.AWAITING_APPROVAL, Stage.APPROVED, Stage.CLAIMED)
            moving = under_way or any(row.is_unfinished for row in operation.rows)
            if not moving or waiting.is_over:
                return report(operation, self._deps.clock.now(), not_followed=not_followed)
            await waiting.pause(FOLLOW_POLL_S)

    async def operations(
        self,
        *,
        account_id: AccountId | None = None,
        state: OperationState | None = None,
        limit: int = 20,
        viewer: Viewer = EVERYBODY,
    ) -> tuple[tuple[OperationReport, ...], bool]:
        """Recent operations, newest first, as they were last seen; and whether there may be older ones."""
        if limit < 1:
            raise InvalidInput(f"A limit of {limit} shows nothing.", hint="Use 1 or more.")
        await self._reconciler.note_time()
        now, known = self._deps.clock.now(), frozenset(filter(viewer.knows, self._deps.policy.accounts))
        wanted = Search(account_id, known, self._deps.mode, state, asked_by=viewer.caller)
        found = await in_thread(self._deps.store.search, wanted, now, limit=limit)
        known_here = map(self._deps.as_known, found.operations)
        return tuple(report(operation, now) for operation in known_here), found.after is not None

    async def status(self, *, viewer: Viewer = EVERYBODY) -> GuardStatus:
        """Limits and what is used of them, halts, approver, and what is in doubt, as far as `viewer` may know."""
        await self._reconciler.note_time()
        return await in_thread(overview, self._deps, viewer)


def _lost(operation: Operation) -> StoreUnavailable:
    """The error where the store knows nothing of an operation any more: another server may have sent it."""
    lost = StoreUnavailable(
        f"Operation {operation.operation_id} is not in the operation store any more, as after a failover to a standby "
        "that had not received it.",
        hint="Compare the account's orders at the broker with the record.",
    )
    lost.sent = Sent.UNKNOWN
    return lost
