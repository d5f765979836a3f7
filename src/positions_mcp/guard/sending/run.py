"""One approved operation being sent: read again, compare, judge again, then request by request.

Each request is journalled as SENDING, durably, before it leaves; it leaves once; its outcome is journalled before the
next one leaves, with it where it took effect. An unknown or deviating outcome ends the batch, unless a person flattens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import (
    InvalidInput,
    NothingSent,
    PositionsError,
    Refused,
    StoreUnavailable,
    UpstreamError,
)
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Lease, Operation, Row
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.domain.operation.states import RowState, Stage
from positions_mcp.guard.account import Account, AccountReader
from positions_mcp.guard.approval.mandates import LastSeen, UnderMandate, seen_of
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kind import Answer, Comparison, OperationKind, Request, as_planned
from positions_mcp.guard.sending import last_checks
from positions_mcp.guard.sending.last_checks import SentRows
from positions_mcp.guard.sending.late import AGAIN, FinishedOperation
from positions_mcp.guard.sending.outcomes import answer_to, outcome_of, why_ends
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Ending, Ledger, Taking

RETRY_NOTHING_SENT_FOR = timedelta(seconds=5)
LEASE_MARGIN = timedelta(seconds=10)
_RECORDING_PAUSES_S = (0.1, 0.4, 1.5)
_log = logging.getLogger(__name__)


class _End(Exception):
    """Nothing more of this batch is sent."""

    def __init__(self, reason: str, stage: Stage = Stage.FINISHED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stage = stage


class _NotNow(Refused):
    """What other processes have done forbids the next request."""


@dataclass(slots=True)
class Run:
    """One claimed operation on its way. `must_stop` says why no further request may leave; empty while it may."""

    deps: Dependencies
    kinds: Mapping[Kind, OperationKind[Any]]
    accounts: AccountReader
    operation: Operation
    lease: Lease
    must_stop: Callable[[bool], str]
    """Called with whether anything was sent yet."""
    keep: Callable[[FinishedOperation], object]
    """Takes what the store did not."""
    taking: Taking | None = None
    """How it is decided and claimed with its first request; None where it is."""
    under: UnderMandate | None = None
    """The mandate that it goes under; None where it was approved itself."""
    last_seen: LastSeen | None = None
    notes: list[str] = field(default_factory=list)
    held_back: dict[int, str] = field(default_factory=dict)
    """Rows that another row's outcome prevents, and why."""
    changes: dict[int, str] = field(default_factory=dict)
    """Rows of which less is held than was planned."""
    flat: set[int] = field(default_factory=set)
    account: Account | None = None
    """As read again before sending."""
    counted: SentRows = frozenset()
    """What others had sent before they were read."""
    answered: Sequence[Row] = ()
    """The outcomes of the last request, which are journalled with the next one or with the end."""
    recorded: bool = True
    """False once an outcome could not be journalled: then what is in memory is all there is."""

    async def run(self) -> Operation:
        """Send what may be sent. Returns the operation as it then is."""
        end, failure = _End(""), None
        try:
            await self._send_all()
        except _End as reached:
            end = reached
        except UpstreamError as error:
            end = _End(f"The account could not be read again before sending: {error.message}", Stage.LAPSED)
        except StoreUnavailable as error:
            end, failure = _End(error.message), error
        except Exception as error:
            if not self._anything_sent:
                raise
            _log.exception("%s: nothing more is sent", self.operation.operation_id)
            end = _End(f"Nothing more was sent: this program went wrong ({type(error).__name__}).")
        ended = await self._finish(end)
        await self._pass("ended")
        if failure is not None and ended.plan.flatten and not self._anything_sent:
            raise failure  # a person goes on with another record
        return ended

    async def _send_all(self) -> None:
        plan, kind = self.operation.plan, self.kinds[self.operation.plan.kind]
        if not plan.flatten and (other := last_checks.of_policy(self.deps.policy_of(plan), self.operation)):
            self.notes.append(other)
        self.account = account = await self._read_again()
        await self._pass("read again")
        comparison = as_planned(plan) if account is None else kind.compare(plan, account)
        if comparison.stale:
            raise _End(" ".join(comparison.stale), Stage.STALE)
        self.flat = comparison.flat
        self.changes = comparison.notes
        if account is not None and not plan.flatten:
            notional = exact_sum(row.measure for row in comparison.reserving.values())
            found = kind.findings(plan, account)
            verdict = last_checks.judged(self.deps.policy_of(plan), self.operation, account, found, notional)
            if why := last_checks.by_account(self.operation, verdict):
                raise _End(why, Stage.REFUSED)
            if self.under is not None:
                self.last_seen = LastSeen(verdict, seen_of(plan, account), notional)
        requests = kind.requests(plan, comparison)
        for request in requests:
            if why := self.must_stop(self._anything_sent):
                raise _End(why, Stage.FINISHED if self._anything_sent else Stage.LAPSED)
            if account is not None and (obstacle := kind.obstacle(self.operation, request, account)):
                self.held_back.update(dict.fromkeys(request.rows, f"Held back: {obstacle}"))
                continue
            await self._send(kind, request, comparison, is_last=request is requests[-1])

    async def _read_again(self) -> Account | None:
        """The account now. A person who flattens in a crash is not stopped by a book that cannot be read: None."""
        if not self.operation.plan.flatten:
            sent = await in_thread(self.deps.store.sent_after_planning, self.operation.operation_id)
            self.counted = last_checks.rows_sent(sent)
        plan = self.operation.plan
        try:
            return await self.accounts.to_decide(plan.account_id, plan.kind, plan.names, recent=True)
        except UpstreamError:
            if not self.operation.plan.flatten:
                raise
            self.notes.append("The book could not be read again before sending.")
            return None

    async def _send(self, kind: OperationKind[Any], request: Request, comparison: Comparison, *, is_last: bool) -> None:
        """One request; where provably nothing left, again for five seconds."""
        started, pause = self.deps.clock.now(), 0.2
        while True:
            await self._begin(request)
            begun = self.deps.clock.now()
            await self._pass("sending journalled")
            answer, failure = await self._ask(kind, request, begun)
            await self._pass("answered")
            rows = self._rows(request, answer, comparison)
            is_end = is_last or why_ends(self.operation.plan, answer)
            if failure is None and (is_end or all(row.has_effect for row in rows)):
                self.answered = rows
                self._remember(rows)
                break
            await self._record(rows)
            await self._pass("outcome journalled")
            if failure is None:
                break
            if self.deps.clock.now() - started >= RETRY_NOTHING_SENT_FOR:
                raise _End(f"Nothing could be sent: {failure.message}")
            await self.deps.sleep(pause)
            pause = min(pause * 2, 1.0)
            if why := self.must_stop(self._anything_sent):
                raise _End(why)
        if why := why_ends(self.operation.plan, answer):
            raise _End(why)

    async def _begin(self, request: Request) -> None:
        """Journal a request, with what came of the one before."""
        now = self.deps.clock.now()
        until = now + self.deps.write_timeout + LEASE_MARGIN
        self.lease = self.lease.model_copy(update={"until": until})
        try:
            self.operation = await in_thread(
                self.deps.store.begin,
                self.operation.operation_id,
                self.lease,
                reserving=request.rows,
                now=now,
                market_now=self.deps.market_clock.now(),
                check=lambda ledger: self._check(ledger, request),
                taking=self.taking,
                outcome=self.answered,
            )
        except Refused as refused:
            if isinstance(refused, _NotNow):
                self.answered = ()  # written before it was asked whether another one may leave
            if self.taking is None or isinstance(refused, _NotNow):
                raise _End(refused.message, Stage.REFUSED) from refused
            if self.taking.is_too_late(self.operation.plan, self.deps.clock.now()):
                raise _End(refused.message, Stage.LAPSED) from refused
            raise  # it was decided or taken elsewhere, or may not be taken
        self.taking, self.answered = None, ()
        self.deps.taken.pop(self.operation.operation_id, None)

    def _check(self, ledger: Ledger, request: Request) -> None:
        """Within the transaction that journals SENDING: the rules that other processes may have changed."""
        operation = self.operation
        policy, today = self.deps.policy_of(operation.plan), new_york_day(self.deps.market_clock.now())
        sent = ledger.sent_after_planning(operation.operation_id)
        if operation.plan.flatten:
            if why := last_checks.by_collision(operation, sent) or last_checks.by_persons(
                policy, operation, ledger, ledger.rosters(), going=request.rows, today=today
            ):
                raise _NotNow(why)
            return
        record = self.accounts.record(ledger, operation.account_id)
        notional = exact_sum(reservation.measure for reservation in request.rows.values())
        if why := (
            last_checks.by_record(policy, operation, record, notional)
            or last_checks.by_persons(policy, operation, ledger, record.rosters, going=request.rows, today=today)
            or (self.under and last_checks.by_mandate(ledger, operation, self.last_seen, self.deps.clock.now()))
            or last_checks.by_others(operation, self.account, sent, self.counted)
        ):
            raise _NotNow(why)

    async def _ask(
        self, kind: OperationKind[Any], request: Request, begun: datetime
    ) -> tuple[Answer, NothingSent | None]:
        async def send() -> Answer:
            self._expect_in_time(begun)
            return await kind.send(self.operation, request)

        return await answer_to(request, send, self.deps.write_timeout)

    def _expect_in_time(self, begun: datetime) -> None:
        """A process that was suspended meanwhile no longer knows what it sends into, and others may have gone on."""
        now = self.deps.clock.now()
        if now >= self.lease.until or now - begun >= RETRY_NOTHING_SENT_FOR:
            raise NothingSent(f"This process stood still for {(now - begun).total_seconds():.0f} s before sending.")

    async def _record(self, rows: Sequence[Row], ending: Ending | None = None) -> None:
        for pause in (*_RECORDING_PAUSES_S, None):
            try:
                self.operation = await in_thread(
                    self.deps.store.record,
                    self.operation.operation_id,
                    self.lease.token,
                    rows,
                    self.deps.clock.now(),
                    halt_after=self.deps.policy.halt_after,
                    ending=ending,
                )
            except PositionsError as error:  # also where the store knows nothing of it any more, after a failover
                if pause is not None and isinstance(error, StoreUnavailable):
                    await self.deps.sleep(pause)
                    continue
                self.recorded = False
                self._remember(rows)
                raise _End(f"The outcome could not be journalled: {error.message} {AGAIN}") from error
            return

    def _rows(self, request: Request, answer: Answer, comparison: Comparison) -> list[Row]:
        if answer.unexpected:
            self.notes.insert(0, answer.unexpected)
        rows, said = self.operation.rows, answer.outcomes
        return [outcome_of(rows[each], said.get(each), comparison.notes.get(each, "")) for each in request.rows]

    def _remember(self, rows: Sequence[Row]) -> None:
        new = {row.position: row for row in rows}
        merged = tuple(new.get(row.position, row) for row in self.operation.rows)
        self.operation = self.operation.changed(rows=merged)

    async def _finish(self, end: _End) -> Operation:
        """End the claim, with the outcomes that are not journalled yet; rows that were not sent say why."""
        ending = self._ending(end)
        stage, reason, untouched = ending.stage, ending.reason, ending.rows
        decided = self.taking.decision if self.taking is not None else None
        if self.answered:
            rows, self.answered = self.answered, ()
            try:
                await self._record(rows, ending)
            except _End as failed:
                return await self._finish(failed)
            await self._pass("outcome journalled")
            return self.operation
        try:
            if self.recorded:
                return await in_thread(
                    self.deps.store.finish,
                    self.operation.operation_id,
                    self.lease.token,
                    stage=stage,
                    reason=reason,
                    rows=untouched,
                    now=self.deps.clock.now(),
                    decided=decided,
                )
        except (Refused, InvalidInput):
            if self.taking is not None:
                raise  # it is not this run's: the store alone knows what became of it
            return self._ended(stage, reason, untouched)
        except StoreUnavailable as error:
            if self.taking is not None:  # others may have taken it meanwhile
                self.keep(FinishedOperation(self._ended(stage, reason, untouched), self.lease.token, decided))
                raise
            reason = f"{reason} {error.message} {AGAIN}".lstrip() if error.message not in reason else reason
        ended = self._ended(stage, reason, untouched)
        if self._anything_sent or not ended.plan.flatten:  # else a person goes on with another record
            self.keep(FinishedOperation(ended, self.lease.token, decided))
        return ended

    def _ending(self, end: _End) -> Ending:
        why = end.reason or "Not sent."
        untouched = [self._untouched(row, why) for row in self.operation.rows if row.state is RowState.NOT_SENT]
        reason = " ".join(filter(None, [*self.notes, end.reason]))
        stage = Stage.FINISHED if self._anything_sent else end.stage
        return Ending(self.lease.token, stage, reason, untouched)

    def _ended(self, stage: Stage, reason: str, untouched: Sequence[Row]) -> Operation:
        """The operation as it is over, although the store could not note it: it is not approved any more."""
        self._remember(untouched)
        rows = [row.changed(state=RowState.UNKNOWN) if row.is_not_known else row for row in self.operation.rows]
        return self.operation.changed(stage=stage, reason=reason, rows=tuple(rows), lease=None)

    def _untouched(self, row: Row, why: str) -> Row:
        if row.position in self.flat:
            return row.changed(detail="Already flat, so nothing was sent.", residual=0, ended=True)
        told = [self.held_back.get(row.position) or row.detail or why, self.changes.get(row.position, "")]
        return row.changed(detail=" ".join(filter(None, told)))

    @property
    def _anything_sent(self) -> bool:
        return any(row.state is not RowState.NOT_SENT for row in self.operation.rows)

    async def _pass(self, name: str) -> None:
        await self.deps.checkpoint(name, self.operation.operation_id)
