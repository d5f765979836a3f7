"""The rows of a batch of instructions, as tools take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.guard.exercising.request import SubmitRequest
from positions_mcp.tools._plans import named_account
from positions_mcp.tools._spec import STRICT


class Row(BaseModel):
    """One row of the argument `instructions`."""

    model_config = ConfigDict(**STRICT, defer_build=True)

    instrument: Annotated[str, Field(min_length=1, max_length=64, description="OSI option symbol or UUID")]
    instruction_type: Literal["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"]
    quantity: Annotated[str, Field(pattern="^[1-9][0-9]{0,8}$", description="Whole contracts")]
    instruction_id: Annotated[
        str | None, Field(pattern="^[!-~]{1,128}$", description="Your idempotency key; default generated")
    ] = None

    def as_asked(self) -> InstructionRow:
        """The row as the guard takes it."""
        return InstructionRow(
            instrument=self.instrument,
            instruction_type=self.instruction_type,
            quantity=self.quantity,
            instruction_id=self.instruction_id,
        )


def submit_request(account_id: int | None, instructions: Sequence[Row] | None) -> SubmitRequest:
    """What the guard is asked for."""
    rows = None if instructions is None else tuple(row.as_asked() for row in instructions)
    return SubmitRequest(account_id=named_account(account_id), rows=rows)
