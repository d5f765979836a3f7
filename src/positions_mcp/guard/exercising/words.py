"""How instructions and their cancels are put to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from positions_mcp.domain.operation.operation import Row
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget, Plan
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.domain.text import counted, quoted
from positions_mcp.guard.kind import RowWords

_OF_SUBMIT: Mapping[OperationState, str] = {
    OperationState.SUBMITTED: "Sent is not accepted: follow it with get_operation.",
    OperationState.CLOSED: "Clearing has accepted every row. Nothing more to do.",
    OperationState.PARTIAL: "Not every row stands as asked: see each row.",
    OperationState.REJECTED: "No row was taken: see each row for the cause and what may be done.",
}
_OF_CANCEL: Mapping[OperationState, str] = {
    OperationState.SUBMITTED: "Requested is not cancelled: follow it until it is CANCELLED or CANCEL_FAILED, with "
    "get_operation.",
    OperationState.CLOSED: "It is cancelled: exercise by exception applies as if it had never been sent.",
    OperationState.PARTIAL: "The cancel FAILED: an operator of the broker must look, and the original instruction may "
    "stand. A person calls the broker.",
    OperationState.REJECTED: "It was not cancelled by this: see the row, and read list_instructions.",
}


class SubmittingWords:
    """Implements `positions_mcp.guard.kind.Words` for a batch of instructions."""

    next_steps = _OF_SUBMIT

    def heading(self, plan: Plan) -> str:
        """`submit 2 exercise instructions`."""
        return f"submit {counted(len(plan.targets), 'exercise instruction')}"

    def lines(self, plan: Plan) -> Sequence[str]:
        """The consequences of each row, and its key."""
        return [
            " ".join([*(target.consequences or (_said(target),)), *_key_of(target)]) for target in plan.instructions
        ]

    def terms(self, plan: Plan) -> Sequence[str]:
        """The evening with it and without it, what it comes to, and the exercise cut-off."""
        return _terms(plan)

    def row(self, plan: Plan, row: Row) -> RowWords:
        """`EXERCISE 5`."""
        return RowWords(planned=_sized(plan.instructions[row.position]))


class CancellingWords:
    """Implements `positions_mcp.guard.kind.Words` for the cancel of one instruction."""

    next_steps = _OF_CANCEL

    def heading(self, plan: Plan) -> str:
        del plan
        return "cancel one exercise instruction"

    def lines(self, plan: Plan) -> Sequence[str]:
        """The instruction, its status, and what its cancel leads to."""
        return [
            " ".join([f"cancel {_said(it)}, {it.status} (id {it.instruction_id}).", *it.consequences])
            for it in plan.cancels
        ]

    def terms(self, plan: Plan) -> Sequence[str]:
        """The evening with it and without it, and what it comes to."""
        return _terms(plan)

    def row(self, plan: Plan, row: Row) -> RowWords:
        """`cancel EXERCISE 5`."""
        target = plan.cancels[row.position]
        return RowWords(planned=f"cancel {_sized(target)}", instruction_id=target.instruction_id)


def _key_of(target: InstructionTarget) -> Sequence[str]:
    which = [f"It is {target.called}."] if target.has_namesakes else []
    return [*which, f"Key {quoted(target.instruction_key, 128)}."]


def _sized(target: InstructionTarget | CancelTarget) -> str:
    return f"{target.instruction_type} {'?' if target.quantity is None else target.quantity}"


def _said(target: InstructionTarget | CancelTarget) -> str:
    return f"{_sized(target)} {target.called}"


def _terms(plan: Plan) -> Sequence[str]:
    cutoff = [f"Cut-off: {plan.session}."] if plan.session else []
    return [*plan.projection, f"Notional: {notional_said(plan)}.", *cutoff]


def notional_said(plan: Plan) -> str:
    """What counts against limits: `$9,500`, or that more than that may be at stake."""
    more = "" if all(target.priced for target in plan.targets) else " or more: not all of it is known"
    return f"${plan.measure:,f}{more}"
