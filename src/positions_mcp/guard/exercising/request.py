"""What is asked for about instructions: a batch to submit, or one to cancel."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, InstructionId
from positions_mcp.domain.operation.plan import InstructionTarget, Kind, Mode, Plan, canonical_json, request_key
from positions_mcp.domain.text import label
from positions_mcp.guard.kind import account_of, agree, checked_name, folded


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest:
    """The arguments of a submit. None means not given."""

    account_id: AccountId | None = None
    rows: tuple[InstructionRow, ...] | None = None
    purpose: str = ""

    @property
    def kind(self) -> Kind:
        """One request for the whole batch."""
        return Kind.SUBMIT_INSTRUCTIONS

    @property
    def names(self) -> tuple[str, ...]:
        """As `PlanRequest`."""
        return tuple(row.instrument for row in self.rows or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """The arguments of a cancel, by the server's id of the instruction. None means not given."""

    account_id: AccountId | None = None
    instruction_id: InstructionId | None = None
    purpose: str = ""

    @property
    def kind(self) -> Kind:
        """One request for one instruction."""
        return Kind.CANCEL_INSTRUCTION

    @property
    def names(self) -> tuple[str, ...]:
        """As `PlanRequest`: an instruction that stands is concerned by itself."""
        return ()


def key_of_submit(request: SubmitRequest, caller: str, mode: Mode) -> str:
    """As `OperationKind.key`."""
    return _key(request, list(map(_asked, asked_rows(request))), caller, mode)


def key_of_cancel(request: CancelRequest, caller: str, mode: Mode) -> str:
    """As `OperationKind.key`."""
    return _key(request, [asked_id(request)], caller, mode)


def asked_rows(request: SubmitRequest) -> tuple[InstructionRow, ...]:
    """The rows of a new plan. Raises InvalidInput where none were given."""
    if request.rows is None:
        raise InvalidInput("Neither instructions nor plan_id was given.", hint="Give one of them.")
    return request.rows


def asked_id(request: CancelRequest) -> InstructionId:
    """The instruction of a new plan. Raises InvalidInput where none was given."""
    if request.instruction_id is None:
        raise InvalidInput("Neither id nor plan_id was given.", hint="list_instructions shows the ids.")
    return request.instruction_id


def agree_on_submit(request: SubmitRequest, plan: Plan) -> None:
    """As `OperationKind.agree`; the rows may stand in any order."""
    rows = request.rows
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


def agree_on_cancel(request: CancelRequest, plan: Plan) -> None:
    """As `OperationKind.agree`."""
    for target in plan.cancels:
        agree("id", request.instruction_id, target.instruction_id, plan)


def _key(request: SubmitRequest | CancelRequest, targets: list[str], caller: str, mode: Mode) -> str:
    return request_key(
        caller=caller,
        mode=mode,
        account_id=account_of(request),
        kind=request.kind,
        targets=targets,
        cancel_orders=False,
    )


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
