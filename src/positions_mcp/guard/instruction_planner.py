"""Making and finding plans about instructions: the same arguments from the same caller keep their plan and its keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, InstructionId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import InstructionTarget, Kind, Plan, canonical_json, request_key
from positions_mcp.domain.text import label
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.instruction_planning import Setting, draft_cancel, draft_instructions
from positions_mcp.guard.instruction_staleness import compare_cancel, compare_instructions
from positions_mcp.guard.parts import Parts
from positions_mcp.guard.planner import Planned, agree, folded, require_caller
from positions_mcp.guard.planning import checked_name
from positions_mcp.guard.rules import judge
from positions_mcp.guard.verdict import Verdict


class InstructionPlanner:
    """Makes and finds plans to submit instructions and to cancel one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def plan(self, account_id: AccountId, rows: Sequence[InstructionRow], caller: str) -> Planned:
        """A plan as `Guard.plan_instructions` has it, with `create`."""
        key = self._key(account_id, Kind.SUBMIT_INSTRUCTIONS, map(_asked, rows), caller)
        facts = await self._parts.facts().read(account_id, Kind.SUBMIT_INSTRUCTIONS)
        plan, verdict = draft_instructions(rows, facts, self._setting(account_id, caller))
        return await self._stored(key, plan, verdict, facts)

    async def plan_cancel(self, account_id: AccountId, wanted: InstructionId, caller: str) -> Planned:
        """A plan as `Guard.plan_cancel` has it, with `create`."""
        key = self._key(account_id, Kind.CANCEL_INSTRUCTION, [wanted], caller)
        facts = await self._parts.facts().read(account_id, Kind.CANCEL_INSTRUCTION)
        plan, verdict = draft_cancel(wanted, facts, self._setting(account_id, caller))
        return await self._stored(key, plan, verdict, facts)

    async def find(self, account_id: AccountId, rows: Sequence[InstructionRow], caller: str) -> Planned:
        """The newest plan of these rows, whatever became of it. Raises Refused where there is none."""
        return await self._found(self._key(account_id, Kind.SUBMIT_INSTRUCTIONS, map(_asked, rows), caller))

    async def find_cancel(self, account_id: AccountId, wanted: InstructionId, caller: str) -> Planned:
        """The newest plan to cancel it, whatever became of it. Raises Refused where there is none."""
        return await self._found(self._key(account_id, Kind.CANCEL_INSTRUCTION, [wanted], caller))

    def _setting(self, account_id: AccountId, caller: str) -> Setting:
        parts = self._parts
        return Setting(
            policy=parts.policy,
            mode=parts.mode,
            account_id=account_id,
            caller=caller,
            calendar=parts.calendar,
            market_now=parts.market_clock.now(),
            now=parts.clock.now(),
            ids=parts.ids,
        )

    def _key(self, account_id: AccountId, kind: Kind, asked: Iterable[str], caller: str) -> str:
        require_caller(caller)
        self._parts.check_account(account_id)
        return request_key(
            caller=caller,
            mode=self._parts.mode,
            account_id=account_id,
            kind=kind,
            targets=asked,
            cancel_orders=False,
        )

    async def _stored(self, key: str, plan: Plan, verdict: Verdict, facts: Facts) -> Planned:
        parts = self._parts
        supersede = await self._outdated(key, facts)
        operation = await in_thread(parts.store.add_plan, plan, key, plan.created_at, supersede=supersede)
        if operation.operation_id != plan.plan_id:
            verdict = judge(parts.policy, operation.plan, facts)
        return Planned(operation, verdict)

    async def _found(self, key: str) -> Planned:
        operation = await in_thread(self._parts.store.latest, key)
        if operation is None:
            raise Refused("There is no plan of these arguments to continue.", hint="Nothing was sent. Plan again.")
        return Planned(operation, None)

    async def _outdated(self, key: str, facts: Facts) -> str | None:
        """The open plan of the same arguments, where what it says no longer holds."""
        found = await in_thread(self._parts.store.latest, key)
        if found is None or not found.stage.is_open:
            return None
        return None if self._still_holds(found, facts) else found.operation_id

    def _still_holds(self, operation: Operation, facts: Facts) -> bool:
        plan, parts = operation.plan, self._parts
        if plan.kind is Kind.CANCEL_INSTRUCTION:
            return compare_cancel(plan, facts, policy=parts.policy).is_unchanged
        now = parts.market_clock.now()
        comparison = compare_instructions(plan, facts, policy=parts.policy, calendar=parts.calendar, now=now)
        return comparison.is_unchanged


def agree_on_instructions(rows: Sequence[InstructionRow] | None, plan: Plan) -> None:
    """Raise InvalidInput where rows were given with a plan and are not its own, in any order."""
    if rows is None:
        return
    agree("instructions", f"{len(rows)} rows", f"{len(plan.targets)} rows", plan)
    left = list(plan.instructions)
    for row in rows:
        same = next((target for target in left if _is_asked_by(row, target)), None)
        if same is None:
            agree("instructions", f"{label(row.instruction_type)} {label(row.instrument)}", "otherwise", plan)
        else:
            left.remove(same)


def agree_on_cancel(wanted: InstructionId | None, plan: Plan) -> None:
    """Raise InvalidInput where an id was given with a plan and is not its own."""
    for target in plan.cancels:
        agree("id", wanted, target.instruction_id, plan)


def _asked(row: InstructionRow) -> str:
    name = folded(checked_name(row.instrument))
    return canonical_json([name, row.instruction_type, row.quantity, row.instruction_id]).decode()


def _is_asked_by(row: InstructionRow, target: InstructionTarget) -> bool:
    return (
        folded(row.instrument) in (folded(target.symbol), target.instrument_id.upper())
        and row.instruction_type == target.instruction_type
        and row.quantity == str(target.quantity)
        and row.instruction_id in (None, target.instruction_key)
    )
