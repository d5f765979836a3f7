"""From the arguments of a tool to what the guard is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, instruction_id
from positions_mcp.domain.text import label
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.tools._arguments import CONTRACTS, KEY, ToolArguments


class Row(ToolArguments):
    """One row of the argument `instructions`."""

    instrument: Annotated[str, Field(min_length=1, max_length=64, description="OSI option symbol or UUID")]
    instruction_type: Literal["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"]
    quantity: Annotated[str, Field(pattern=CONTRACTS, description="Whole contracts")]
    instruction_id: Annotated[str | None, Field(pattern=KEY, description="Your idempotency key; default generated")] = (
        None
    )

    def as_asked(self) -> InstructionRow:
        return InstructionRow(
            instrument=self.instrument,
            instruction_type=self.instruction_type,
            quantity=self.quantity,
            instruction_id=self.instruction_id,
        )


def close_request(
    account_id: int | None,
    instruments: Sequence[str] | None,
    cancel_orders: bool | None,
    *,
    everything: bool = False,
    purpose: str | None = None,
) -> CloseRequest:
    return CloseRequest(
        account_id=_account(account_id),
        instruments=None if instruments is None else tuple(instruments),
        everything=everything,
        cancel_orders=cancel_orders,
        purpose=purpose or "",
    )


def submit_request(
    account_id: int | None, instructions: Sequence[Row] | None, *, purpose: str | None = None
) -> SubmitRequest:
    rows = None if instructions is None else tuple(row.as_asked() for row in instructions)
    return SubmitRequest(account_id=_account(account_id), rows=rows, purpose=purpose or "")


def cancel_request(account_id: int | None, wanted: str | None) -> CancelRequest:
    """To cancel the instruction of that id. Raises InvalidInput."""
    if wanted is not None and wanted.strip().startswith("op-"):
        raise InvalidInput(
            f"{label(wanted)} is an operation, not an instruction.",
            hint="list_instructions shows the ids of instructions.",
        )
    checked = None if wanted is None else instruction_id(wanted.strip())
    return CancelRequest(account_id=_account(account_id), instruction_id=checked)


def _account(account_id: int | None) -> AccountId | None:
    return None if account_id is None else AccountId(account_id)
