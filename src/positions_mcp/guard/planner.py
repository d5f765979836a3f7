"""Making plans and finding them again: the same arguments from the same caller lead to the same plan."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

import anyio

from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.coverage import Seen
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Plan
from positions_mcp.domain.operation.search import Viewer
from positions_mcp.domain.operation.servers import by_form
from positions_mcp.domain.text import clean, quoted
from positions_mcp.guard.account import Account, AccountReader, Names
from positions_mcp.guard.approval.mandates import seen_of
from positions_mcp.guard.approval.questions import Questions, Rung, Step
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kind import Draft, PlanRequest, expect_same
from positions_mcp.guard.kinds import kinds_of
from positions_mcp.guard.policy.findings import Verdict
from positions_mcp.guard.policy.rules import judge
from positions_mcp.guard.reconcile import Reconciler
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import Ledger

Choosing = Callable[[Book], PlanRequest]
"""What is asked for of the book as it was read for the plan: chosen from another one it might be another plan's."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter looks like a digit."""
LONGEST_PURPOSE = 200
_LATEST = 50
"""Operations of an account that are looked at for the same targets under other names."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation that is planned, and what policy says of it now; None where policy was not asked."""

    operation: Operation
    verdict: Verdict | None
    seen: Seen | None = None
    """What the account shows of its targets; None where it was not read."""
    step: Step | None = None
    """Who decides it, where that was asked when it was made."""


class Decider(NamedTuple):
    """Says of a new plan who decides it."""

    step: Callable[[Planned], Awaitable[Step]]
    process: str
    """The server with which a form ends that asks about it; empty where with none."""


class Planner:
    """Makes and finds plans of every kind. `is_asked` says of one whether a form with its question is open."""

    def __init__(self, deps: Dependencies, *, is_asked: Callable[[Operation], bool] = lambda _: False) -> None:
        self._deps = deps
        self._kinds = kinds_of(deps)
        self._accounts = AccountReader(deps)
        self._reconciler = Reconciler(deps)
        self._is_asked = is_asked

    async def plan(
        self,
        request: PlanRequest,
        caller: str,
        choose: Choosing | None = None,
        decider: Decider | None = None,
        rights: tuple[str, ...] = (),
    ) -> Planned:
        """A plan as `Guard.plan` has it, with `create`. What `decider` leaves to a form is asked as it is stored."""
        self._check_asks(request, caller)
        account = None
        if choose is not None:
            account = await self._read(request.account, request.kind, lambda book: choose(book).names)
            request = choose(account.book)
        key = self._key(request, caller)
        found = await in_thread(self._deps.store.latest, key)  # first: the clock may be put right by the store's
        found = found and self._deps.as_known(found)
        account = account or await self._read(request.account, request.kind, request.names)
        plan, verdict = self.frozen(request, self._kinds[request.kind].draft(request, account), account, caller, rights)
        under_other_names = await self._of_the_same_targets(request, plan, account) if found is None else None
        supersede = self._outdated(found, plan, account)
        running_out = found or under_other_names
        if running_out is not None and await self._runs_out(running_out, plan.created_at):
            supersede, plan = running_out.operation_id, plan.changed(replaces=running_out.operation_id)
        elif under_other_names is not None:
            return self._planned(under_other_names, account)
        fresh = Planned(Operation.planned(plan), verdict, seen_of(plan, account))
        step = None if decider is None else await decider.step(fresh)
        ask = partial(Questions.check, self._deps) if step is not None and step.rung is Rung.ELICITATION else None
        add, room = partial(self._deps.store.add_plan, plan, key, plan.created_at), partial(self._check_room, plan)
        told = by_form(decider.process) if decider else None
        operation = await in_thread(add, supersede=supersede, check=room, ask=ask, content=told)
        if operation.operation_id != plan.plan_id:
            return self._planned(self._deps.as_known(operation), account)
        return replace(fresh, operation=operation, step=step)

    async def find(self, request: PlanRequest, caller: str) -> Planned:
        """The newest plan of these arguments, whatever became of it. Raises Refused where there is none."""
        operation = await in_thread(self._deps.store.latest, self._key(request, caller))
        operation = operation or next(iter(await self._asking_the_same(request, caller)), None)
        if operation is None:
            raise Refused("There is no plan of these arguments to continue.", hint="Plan again.")
        return Planned(operation, None)

    async def continue_plan(
        self, plan_id: str, request: PlanRequest | None, *, caller: str, judged: bool, rights: tuple[str, ...]
    ) -> Planned:
        """A plan as `Guard.continue_plan` has it."""
        operation = await self.seen_by(Viewer(caller), plan_id)
        plan = operation.plan
        if plan.flatten:
            raise Refused(f"Plan {plan_id} belongs to a person at a terminal.")
        if request is not None:
            expect_same("account_id", request.account_id, plan.account_id, plan)
            expect_same("tool", request.kind, plan.kind, plan)
            request.agree(plan)
        if not judged or not operation.stage.is_open:
            return Planned(operation, None)
        if why := other_rights(plan, rights):
            raise Refused(why, hint="Plan again.")
        return self._planned(operation, await self._read(plan.account_id, plan.kind, plan.names))

    def frozen(
        self,
        request: PlanRequest,
        draft: Draft,
        account: Account,
        caller: str,
        rights: tuple[str, ...] = (),
        *,
        flatten: bool = False,
    ) -> tuple[Plan, Verdict]:
        """The plan of a draft, and what policy says of it. `flatten` where a person at a terminal asks for it."""
        deps, now = self._deps, self._deps.clock.now()
        plan = Plan(
            plan_id=short_id(deps.ids.new()),
            mode=deps.mode,
            account_id=request.account,
            kind=request.kind,
            caller=caller,
            targets=draft.targets,
            cancel_orders=draft.cancel_orders,
            session=draft.session,
            projection=draft.projection,
            purpose=clean(request.purpose, LONGEST_PURPOSE),
            policy=deps.policy.within(request.account, caller, rights).fingerprint,
            rights=rights,
            created_at=now,
            expires_at=now + deps.policy.plan_lifetime,
            flatten=flatten,
        )
        verdict = self._judge(plan, account)
        return plan.changed(warnings=(*draft.warnings, *verdict.warnings)), verdict

    async def seen_by(self, viewer: Viewer, operation_id: str) -> Operation:
        """An operation that a viewer sees. Raises Refused otherwise: of another's it says no more than of none."""
        try:
            operation = await self._deps.usable_operation(operation_id)
        except InvalidInput:
            if viewer.caller is None:
                raise
            raise self._not_of_caller(operation_id) from None
        if not viewer.sees(operation.plan):
            raise self._not_of_caller(operation_id)
        return operation

    def check_caller(self, operation: Operation, caller: str) -> None:
        """Raise Refused unless the operation is this caller's."""
        if operation.plan.caller != caller:
            raise self._not_of_caller(operation.operation_id)

    def _not_of_caller(self, operation_id: str) -> Refused:
        return Refused(
            f"There is no {self._deps.mode} operation {quoted(operation_id, 40)} here, or it was planned by another "
            "caller.",
            hint="list_operations names the recent ones.",
        )

    def _check_asks(self, request: PlanRequest, caller: str) -> None:
        if not caller:
            raise Refused("Caller not authenticated.", hint="Over HTTP, a caller needs a token to send anything.")
        self._deps.check_account(request.account)

    def _key(self, request: PlanRequest, caller: str) -> str:
        self._check_asks(request, caller)
        return request.key(caller, self._deps.mode)

    def _check_room(self, plan: Plan, ledger: Ledger) -> None:
        """Within the transaction that stores the plan: whoever asks too much leaves room for others, and for a person.

        Raises Refused.
        """
        policy, waiting = self._deps.policy_of(plan), ledger.open_plans(plan.mode, plan.created_at)
        mine, everybodys = waiting.get(plan.caller, 0), sum(waiting.values())
        if mine >= policy.max_open_plans_per_caller:
            minutes = policy.plan_lifetime.total_seconds() / 60
            raise Refused(
                f"{mine} plans of this caller wait for a decision, and no more may.",
                hint=f"Use one of them by its plan_id (list_operations), or wait: each expires after {minutes:g} min.",
            )
        if everybodys >= policy.max_open_plans:
            raise Refused(
                f"{everybodys} plans of all callers wait for a decision, and no more may.",
                hint="Plan again in a few minutes. A person rejects some: `positions-mcp operations list`.",
            )

    def _planned(self, operation: Operation, account: Account) -> Planned:
        return Planned(operation, self._judge(operation.plan, account), seen_of(operation.plan, account))

    def _judge(self, plan: Plan, account: Account) -> Verdict:
        return judge(self._deps.policy_of(plan), plan, account, self._kinds[plan.kind].findings(plan, account))

    async def _read(self, account_id: AccountId, kind: Kind, names: Names) -> Account:
        """The account; where orders of earlier closes are no longer open, once more after those were followed."""
        account = await self._accounts.to_decide(account_id, kind, names)
        open_ids = account.open_order_ids
        if not kind.is_close or open_ids is None:
            return account
        moved_on = [each for each in account.record.unfinished if each.plan.kind.is_close and _is_past(each, open_ids)]
        with anyio.move_on_after(self._deps.reading.total_seconds()):  # however many there are
            for operation in moved_on:
                await self._reconciler.follow(operation)
        return await self._accounts.to_decide(account_id, kind, names) if moved_on else account

    async def _of_the_same_targets(self, request: PlanRequest, fresh: Plan, account: Account) -> Operation | None:
        """The open plan of what was asked for under other names before: a symbol, then its UUID."""
        of_mine = fresh.mode, fresh.account_id, fresh.caller, fresh.created_at
        for found in await in_thread(self._deps.store.open_plans_for, *of_mine):
            plan = found.plan
            same = plan.target_key == fresh.target_key and plan.cancel_orders == fresh.cancel_orders
            agrees = same and plan.rights == fresh.rights and self._agrees(request, plan)
            if agrees and self._kinds[plan.kind].compare(plan, account).is_unchanged:
                return found
        return None

    async def _asking_the_same(self, request: PlanRequest, caller: str) -> Sequence[Operation]:
        """The caller's latest operations that these arguments agree with, by whatever names, newest first."""
        latest = await in_thread(self._deps.store.operations, account_id=request.account, limit=_LATEST)
        return [each for each in latest if each.plan.caller == caller and self._agrees(request, each.plan)]

    def _agrees(self, request: PlanRequest, plan: Plan) -> bool:
        if plan.flatten or plan.mode is not self._deps.mode or plan.kind is not request.kind:
            return False
        try:
            request.agree(plan)
        except InvalidInput:
            return False
        return True

    async def _runs_out(self, found: Operation, now: datetime) -> bool:
        """Whether it has too little left to be decided, and nobody is being asked about it in a form just now."""
        is_open = found.stage.is_open and not found.plan.is_expired(now)
        return is_open and found.plan.ends_soon(now) and not await in_thread(self._is_asked, found)

    def _outdated(self, found: Operation | None, fresh: Plan, account: Account) -> str | None:
        """The open plan of the same arguments, where what it says no longer holds."""
        if found is None or not found.stage.is_open:
            return None
        same = found.plan.target_key == fresh.target_key and found.plan.rights == fresh.rights
        holds = same and self._kinds[fresh.kind].compare(found.plan, account).is_unchanged
        return None if holds else found.operation_id


def other_rights(plan: Plan, rights: tuple[str, ...]) -> str:
    """That its caller has other rights by now than when it was made, in a sentence; empty where it has not."""
    if plan.rights == rights:
        return ""
    then, now = (", ".join(each) or "none" for each in (plan.rights, rights))
    return f"Plan {plan.plan_id} was made with the rights {then}; this caller has {now} now, so other limits may hold."


def _is_past(operation: Operation, open_ids: frozenset[str]) -> bool:
    """Whether it is not known to have ended although none of a row's orders is open."""
    return any(
        row.has_effect and not row.ended and not any(order.order_id in open_ids for order in row.orders)
        for row in operation.rows
    )


def short_id(new_id: str, of: str = "op") -> str:
    """An id that is short enough to be typed at a terminal: what it is `of`, and ten letters and digits (50 bits)."""
    number = int.from_bytes(hashlib.sha256(new_id.encode()).digest()[:8], "big")
    return f"{of}-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 50, 5))
