"""Making plans and finding them again: the same arguments from the same caller lead to the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Plan, Target, request_key
from positions_mcp.domain.text import label
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.parts import Parts
from positions_mcp.guard.planning import checked_name, draft_close
from positions_mcp.guard.rules import judge
from positions_mcp.guard.staleness import compare_closes
from positions_mcp.guard.verdict import Verdict

_EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation that is planned, and what policy says of it now; None where policy was not asked."""

    operation: Operation
    verdict: Verdict | None


class Planner:
    """Makes and finds plans."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def plan_close(
        self, account_id: AccountId, instruments: Sequence[str] | None, cancel_orders: bool, caller: str
    ) -> Planned:
        """A plan as `Guard.plan_close` has it, with `create`."""
        parts = self._parts
        key = self._key(account_id, instruments, cancel_orders, caller)
        facts = await parts.facts().read(account_id)
        now = parts.clock.now()
        plan, verdict = draft_close(
            policy=parts.policy,
            facts=facts,
            mode=parts.mode,
            account_id=account_id,
            instruments=instruments,
            cancel_orders=cancel_orders,
            caller=caller,
            market=parts.calendar.state_at(parts.market_clock.now()),
            now=now,
            new_id=parts.ids.new(),
        )
        supersede = await self._outdated(key, plan, facts)
        operation = await in_thread(parts.store.add_plan, plan, key, now, supersede=supersede)
        if operation.plan is not plan and operation.plan != plan:
            verdict = judge(parts.policy, operation.plan, facts)
        return Planned(operation, verdict)

    async def find_close(
        self, account_id: AccountId, instruments: Sequence[str] | None, cancel_orders: bool, caller: str
    ) -> Planned:
        """The newest plan of these arguments, whatever became of it. Raises Refused where there is none."""
        key = self._key(account_id, instruments, cancel_orders, caller)
        operation = await in_thread(self._parts.store.latest, key)
        if operation is None:
            raise Refused("There is no plan of these arguments to continue.", hint="Nothing was sent. Plan again.")
        return Planned(operation, None)

    async def continue_plan(
        self,
        plan_id: str,
        *,
        caller: str,
        kind: Kind | None,
        account_id: AccountId | None,
        instruments: Sequence[str] | None,
        cancel_orders: bool | None,
        judged: bool,
    ) -> Planned:
        """A plan as `Guard.continue_plan` has it."""
        operation = await self._parts.operation(plan_id)
        plan = operation.plan
        self.check_caller(operation, caller)
        self._parts.check_account(plan.account_id)
        if plan.flatten:
            raise Refused(f"Plan {plan_id} belongs to a person at a terminal.")
        agree("account_id", account_id, plan.account_id, plan)
        agree("the tool", kind, plan.kind, plan)
        agree("cancel_orders", cancel_orders, plan.cancel_orders, plan)
        if instruments is not None:
            _agree_on_instruments(instruments, plan)
        if not judged or not operation.stage.is_open:
            return Planned(operation, None)
        facts = await self._parts.facts().read(plan.account_id, plan.kind)
        return Planned(operation, judge(self._parts.policy, plan, facts))

    def check_caller(self, operation: Operation, caller: str) -> None:
        """Raise Refused unless the operation is this caller's."""
        if operation.plan.caller != caller:
            raise Refused(
                f"Operation {operation.operation_id} was planned by another caller.", hint="Nothing was sent."
            )

    def _key(self, account_id: AccountId, instruments: Sequence[str] | None, cancel_orders: bool, caller: str) -> str:
        require_caller(caller)
        self._parts.check_account(account_id)
        names = [_EVERYTHING] if instruments is None else [folded(checked_name(name)) for name in instruments]
        return request_key(
            caller=caller,
            mode=self._parts.mode,
            account_id=account_id,
            kind=Kind.CLOSE_ALL_POSITIONS if instruments is None else Kind.CLOSE_POSITIONS,
            targets=names,
            cancel_orders=cancel_orders,
        )

    async def _outdated(self, key: str, fresh: Plan, facts: Facts) -> str | None:
        """The open plan of the same arguments, where the book has moved on since."""
        found = await in_thread(self._parts.store.latest, key)
        if found is None or not found.stage.is_open:
            return None
        comparison = compare_closes(found.plan, facts, self._parts.policy.tolerance)
        same = [t.order_quantity for t in found.plan.closes] == [t.order_quantity for t in fresh.closes]
        return None if comparison.is_unchanged and same else found.operation_id


def require_caller(caller: str) -> None:
    """Raise Refused where nobody is known to be asking."""
    if not caller:
        raise Refused("Nobody is known to be asking.", hint="Over HTTP, a caller needs a token to send anything.")


def folded(name: str) -> str:
    """The same for every way of writing one instrument's symbol."""
    contract = parse_option_symbol(name)
    return contract.compact if contract else name.strip().upper()


def agree(what: str, given: object, planned: object, plan: Plan) -> None:
    """Raise InvalidInput where an argument was given and says something else than the plan."""
    if given is not None and given != planned:
        raise InvalidInput(
            f"{what} says {given}, and plan {plan.plan_id} says {planned}.",
            hint="Nothing was sent. Give plan_id alone, or the arguments it was made with.",
        )


def _agree_on_instruments(instruments: Sequence[str], plan: Plan) -> None:
    named = [next((t for t in plan.targets if _is_called(t, name)), None) for name in instruments]
    for name, target in zip(instruments, named, strict=True):
        if target is None:
            agree("instruments", label(name), "otherwise", plan)
    if len({target.instrument_id for target in named if target}) != len(plan.targets):
        agree("instruments", f"{len(instruments)} names", f"{len(plan.targets)} targets", plan)


def _is_called(target: Target, name: str) -> bool:
    wanted = folded(name)
    return wanted in (folded(target.symbol), target.instrument_id.upper())
