"""What is asked for about instructions: a batch to submit, or one to cancel."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import InstructionId
from positions_mcp.domain.operation.plan import InstructionTarget, Kind, Plan, canonical_json
from positions_mcp.domain.text import label
from positions_mcp.guard.kind import PlanRequest, checked_name, expect_same, folded


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest(PlanRequest):
    """The arguments of a submit. None means not given."""

    rows: tuple[InstructionRow, ...] | None = None

    @property
    def kind(self) -> Kind:
        return Kind.SUBMIT_INSTRUCTIONS

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(row.instrument for row in self.rows or ())

    @property
    def batch(self) -> tuple[InstructionRow, ...]:
        """The rows of a new plan. Raises InvalidInput where none were given."""
        if self.rows is None:
            raise InvalidInput("Neither instructions nor plan_id was given.", hint="Give one of them.")
        return self.rows

    @property
    def asked(self) -> list[str]:
        return list(map(_asked, self.batch))

    def agree(self, plan: Plan) -> None:
        """The same rows, in any order."""
        if self.rows is None:
            return
        expect_same("instructions", f"{len(self.rows)} rows", f"{len(plan.targets)} rows", plan)
        left = list(plan.instructions)
        for row in self.rows:
            same = next((target for target in left if _is_asked_by(row, target)), None)
            if same is None:
                said = f"{label(row.instruction_type)} {label(row.instrument)}"
                expect_same("instructions", said, "otherwise", plan)
            else:
                left.remove(same)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest(PlanRequest):
    """The arguments of a cancel, by the server's id of the instruction. None means not given."""

    instruction_id: InstructionId | None = None

    @property
    def kind(self) -> Kind:
        return Kind.CANCEL_INSTRUCTION

    @property
    def names(self) -> tuple[str, ...]:
        """As `PlanRequest`: an instruction that stands is concerned by itself."""
        return ()

    @property
    def wanted(self) -> InstructionId:
        """The instruction of a new plan. Raises InvalidInput where none was given."""
        if self.instruction_id is None:
            raise InvalidInput("Neither id nor plan_id was given.", hint="list_instructions shows the ids.")
        return self.instruction_id

    @property
    def asked(self) -> list[str]:
        return [self.wanted]

    def agree(self, plan: Plan) -> None:
        for target in plan.cancels:
            expect_same("id", self.instruction_id, target.instruction_id, plan)


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
