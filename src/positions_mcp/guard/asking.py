"""A plan is put before a person, and comes back undecided, declined or refused; how long a call waits for that.

What is approved is sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import anyio

from positions_mcp.domain.errors import Overtaken, Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.servers import NOT_ANSWERED, NOT_TAKEN, by_form
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.text import clean
from positions_mcp.guard.approval.questions import Questions, check_rates, question
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.reports import OperationReport, report
from positions_mcp.guard.sending.dispatcher import Dispatcher
from positions_mcp.guard.threads import in_thread

OnWait = Callable[[float, float], Awaitable[None]]
"""Told (seconds waited, seconds at most) while a call waits."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and whom to tell meanwhile."""

    seconds: float
    on_wait: OnWait | None = None


class Waiting:
    """One call that waits. What a slow account takes counts as much as a pause."""

    def __init__(self, deps: Dependencies, wait: Wait) -> None:
        self._deps = deps
        self._wait = wait
        self._began = anyio.current_time()
        self._paused = 0.0

    @property
    def waited(self) -> float:
        return max(anyio.current_time() - self._began, self._paused)

    @property
    def is_over(self) -> bool:
        return self.waited >= self._wait.seconds

    @property
    def is_within_a_reading(self) -> bool:
        """Whether it is over by less than one reading takes: what somebody else is sending is waited for that long."""
        return self.waited < self._wait.seconds + self._deps.reading.total_seconds()

    @property
    def time_left(self) -> float:
        """Seconds that what is begun now may take: to the end of the wait, and near it as long as one reading may."""
        return max(self._wait.seconds - self.waited, self._deps.reading.total_seconds())

    async def pause(self, seconds: float) -> None:
        """Tell how long it has been, and let some time pass."""
        if self._wait.on_wait is not None:
            await self._wait.on_wait(round(self.waited, 1), self._wait.seconds)
        pause = min(seconds, max(self._wait.seconds - self.waited, 0.01))
        await self._deps.sleep(pause)
        self._paused += pause


class CanShow(NamedTuple):
    """What a client can show a person."""

    form: bool
    link: bool
    ends_with_server: bool = True
    """Whether nobody but the server that shows a form takes its answer."""


class Asking:
    """The part of the guard between a plan and a decision, and what an agent may stop."""

    _deps: Dependencies
    _questions: Questions
    _dispatcher: Dispatcher

    def question(self, operation: Operation) -> str:
        """What a person is asked, word for word the same however often."""
        return question(operation.plan)

    async def ask(self, operation: Operation, form: CanShow | None = None) -> Operation:
        """Note that the question is put to a person, by a form where one is named: from now on it can be approved.

        Raises Refused where its caller has asked for as much as it may by now.
        """
        deps, now = self._deps, self._deps.clock.now()
        process = await self._shows(form) if form else ""
        if operation.stage is not Stage.PLANNED:
            if form:
                await in_thread(self._questions.shown_again, operation, process)
            return operation
        ration = partial(self._questions.check if form else check_rates, deps)
        ask = partial(deps.store.move, reason="", now=now, ration=ration, content=by_form(process) if form else None)
        try:
            expected, to = (Stage.PLANNED,), Stage.AWAITING_APPROVAL
            return await in_thread(ask, operation.operation_id, expected=expected, to=to)
        except Overtaken:
            return await deps.operation(operation.operation_id)

    async def _shows(self, form: CanShow) -> str:
        """The server with which a form ends that is about to be shown, whose word that it is alive is in the store."""
        if not form.ends_with_server:
            return ""
        await self._dispatcher.announce()
        return self._deps.process

    async def refuse(self, operation: Operation, reason: str) -> OperationReport:
        """Note that policy refused it, so that the record shows it."""
        move, now = partial(self._deps.store.move, operation.operation_id, to=Stage.REFUSED), self._deps.clock.now()
        expected = (Stage.PLANNED, Stage.AWAITING_APPROVAL)
        return report(await in_thread(move, expected=expected, reason=reason, now=now), now)

    async def note_unanswered(self, operation: Operation, how: str, *, client: str) -> OperationReport:
        """Write down that a form came back without a person's answer: the plan stays open (G-20)."""
        now, content = self._deps.clock.now(), {"how": clean(how, 200), "client": clean(client, 60) or "unnamed"}
        await in_thread(self._deps.store.note, NOT_ANSWERED, operation.operation_id, content, now)
        return report(await self._deps.operation(operation.operation_id), now)

    async def note_not_taken(self, operation: Operation, why: str) -> None:
        """Write down that a form came back with a yes, and that it was refused."""
        now = self._deps.clock.now()
        await in_thread(self._deps.store.note, NOT_TAKEN, operation.operation_id, {"why": clean(why, 200)}, now)

    async def decline(self, operation: Operation, *, client: str) -> OperationReport:
        """Record a no. The same targets are not asked about again for a while, except at the desk.

        Raises Overtaken where it is being sent already, or over.
        """
        now = self._deps.clock.now()
        decision = Decision(
            operation_id=operation.operation_id,
            digest=operation.plan.digest,
            channel=Channel.ELICITATION,
            approved=False,
            by=f"client {clean(client, 60) or 'unnamed'}",
            decided_at=now,
            expires_at=now,
        )
        return report(await in_thread(self._deps.store.decide, decision, now), now)

    async def halt(self, reason: str, *, caller: str) -> Halt:
        """Stop what a caller asks for, in every process on the store. Only a person ends it.

        A halt that covers all of that already stays as it is. Returns the halt that stands. Raises Refused where nobody
        is known to call, StoreUnavailable where it is not halted.
        """
        if not caller:
            raise Refused("Caller not authenticated.", hint="Over HTTP, what has no token can send nothing anyway.")
        why = clean(reason, 200) or "no reason given"
        mine = Halt(reason=why, by=clean(caller, 60), at=self._deps.clock.now(), caller=caller)
        with suppress(StoreUnavailable):  # what stands cannot be read: then it is halted anew
            for standing in await in_thread(self._deps.store.halts):
                if standing.covers_all_of(caller):
                    return standing
        return await in_thread(self._deps.store.set_halt, mine)
