"""The executor: the one place from which anything destructive is sent.

It belongs to the server's lifespan. A call submits an approved operation and waits; the batch runs here, shielded, so
that a vanished client neither stops it nor loses it. Leaving the lifespan lets the request in flight finish and be
journalled, and sends no other.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from positions_mcp.domain.errors import OutcomeUnknown, Refused
from positions_mcp.domain.operation.operation import Decision, Lease, Operation
from positions_mcp.domain.operation.states import Stage
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.approval.mandates import UnderMandate
from positions_mcp.guard.approval.questions import check_rates
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kinds import kinds_of
from positions_mcp.guard.sending.late import FinishedOperation, LateRecords
from positions_mcp.guard.sending.run import Run
from positions_mcp.guard.threads import in_thread
from positions_mcp.in_flight import InFlight
from positions_mcp.ports import Permitting, Taking

CLAIM_LEASE = timedelta(seconds=120)
"""How long reading the account again may take before another process may call the claim dead."""


@dataclass(frozen=True, slots=True)
class FormApproval:
    """A yes that a form answered for a plan, as this process has it, and the check of whether it may be used."""

    operation: Operation
    decision: Decision
    permit: Permitting


@dataclass(eq=False, slots=True)
class _Job:
    operation_id: str
    check: Permitting | UnderMandate | FormApproval
    belongs_to_call: bool
    abandoned: bool = False
    operation: Operation | None = None
    error: Exception | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


class Executor:
    """Sends approved operations, one request at a time. An async context manager: inside it, things can be sent."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._kinds = kinds_of(deps)
        self._accounts = AccountReader(deps)
        self._tasks: TaskGroup | None = None
        self._closing = False
        self._late = LateRecords(deps, lambda: self._closing)
        self._in_flight = InFlight()

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.close()
        if (tasks := self._tasks) is None:
            return None
        if isinstance(error, Exception):
            # What the body raised is its own, and not one of a group: the batch in flight is only waited for.
            await tasks.__aexit__(None, None, None)
            return None
        return await tasks.__aexit__(kind, error, traceback)

    def close(self) -> None:
        """Let the request in flight finish and send no other."""
        self._closing = True

    async def until_idle(self) -> None:
        await self._in_flight.until_idle()

    def aside(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> bool:
        """Let something that never raises run beside what is sent. Returns whether it does."""
        if self._tasks is None or self._closing:
            return False
        self._tasks.start_soon(work, *arguments)
        return True

    async def run(
        self, operation_id: str, check: Permitting | UnderMandate | FormApproval, *, belongs_to_call: bool
    ) -> Operation:
        """Send an operation, approved or under a mandate, and wait for what becomes of it.

        What a form answered is decided and taken with its first request, or its end: before that nothing is written. A
        caller that is cancelled stops nothing once a request has left; before that it does where the approval
        `belongs_to_call`.

        Raises:
            Refused: it may not be sent, or another call or process sends it.
            StoreUnavailable: nothing was sent from here.
            OutcomeUnknown: the server ended in the middle of it.
        """
        if self._tasks is None or self._closing:
            raise Refused("The server is not running, or is shutting down.", hint="Ask again.")
        job = _Job(operation_id, check, belongs_to_call)
        self._tasks.start_soon(self._run, job, name=f"send {operation_id}")
        try:
            await job.done.wait()
        finally:
            job.abandoned = not job.done.is_set()
        if job.error is not None:
            raise job.error
        if job.operation is None:
            raise OutcomeUnknown(
                "The server ended in the middle of this operation.", hint="get_operation says what became of it."
            )
        return job.operation

    async def _run(self, job: _Job) -> None:
        with self._in_flight.one(), anyio.CancelScope(shield=True):
            try:
                job.operation = await self._execute(job)
            except Exception as error:  # the waiting call raises it; the server lives on
                job.error = error
            finally:
                job.done.set()

    async def _execute(self, job: _Job) -> Operation:
        now = self._deps.clock.now()
        lease = Lease(token=self._deps.ids.new(), process=self._deps.process, until=now + CLAIM_LEASE)
        store, check, ration = self._deps.store, job.check, partial(check_rates, self._deps)
        taking = None
        if isinstance(check, FormApproval):
            taking = Taking(check.decision, lease, check.permit, ration)
            operation = check.operation.changed(stage=Stage.CLAIMED, decision=check.decision, lease=lease)
            self._deps.taken[job.operation_id] = operation
        elif isinstance(check, UnderMandate):
            claim = partial(store.claim_under, job.operation_id, check.mandate_id, lease, now, permit=check.permit)
            operation = await in_thread(partial(claim, ration=ration))
        else:
            operation = await in_thread(store.claim, job.operation_id, lease, now, check=check, ration=ration)
        await self._deps.checkpoint("claimed", job.operation_id)
        run = Run(
            self._deps,
            self._kinds,
            self._accounts,
            operation,
            lease,
            must_stop=partial(self._why_stop, job),
            keep=self._keep,
            taking=taking,
            under=check if isinstance(check, UnderMandate) else None,
        )
        try:
            return await run.run()
        finally:
            self._deps.taken.pop(job.operation_id, None)

    def _keep(self, ended: FinishedOperation) -> None:
        assert self._tasks is not None  # what calls this is one of them
        self._deps.unrecorded[ended.operation.operation_id] = ended.operation
        self._tasks.start_soon(self._offer, ended)

    async def _offer(self, ended: FinishedOperation) -> None:
        with self._in_flight.one():
            await self._late.keep(ended)

    def _why_stop(self, job: _Job, anything_sent: bool) -> str:
        if self._closing:
            return "The server was shut down before it was sent."
        if job.belongs_to_call and job.abandoned and not anything_sent:
            return "The call that was approved ended before anything was sent."
        return ""
