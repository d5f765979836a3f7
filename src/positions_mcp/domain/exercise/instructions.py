"""Option exercise instructions: the rows that are submitted and what the API reports of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, model_validator

from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.ids import NIL_UUID, AccountId, InstructionId, InstrumentId
from positions_mcp.domain.operation.records import Instant, Record, Text
from positions_mcp.domain.refusals import reasons_in

_EXISTING_ID = re.compile(r"existing_id=([0-9a-fA-F-]{36})")


class Rejection(Record):
    """Why a row was refused. `reason` is a code, not from a closed list; `metadata` belongs to the code."""

    reason: Text = ""
    domain: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None


class Instruction(Record):
    """An exercise instruction and where it is in its life.

    SENT means handed to clearing and not yet accepted. `id` is the server's and is nil on rows that were refused
    before acceptance, which are never listed; `instruction_id` is the caller's key, which a later contract calls
    `client_instruction_id`.
    """

    id: InstructionId
    account_id: AccountId
    instruction_type: InstructionType
    status: InstructionStatus
    instrument_id: InstrumentId | None = None
    instruction_id: str | None = None
    quantity: Decimal | None = None
    """Whole contracts asked for."""
    symbol: Text = ""
    accepted_quantity: Decimal | None = None
    """Contracts that clearing accepted; may be less than asked. Present once ACCEPTED."""
    created_at: Instant | None = None
    updated_at: Instant | None = None
    rejection_reason: str | None = None
    rejection: Rejection | None = None
    underlying_instrument_id: InstrumentId | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_a_reason_wherever_it_is(cls, row: Any) -> Any:
        if not isinstance(row, Mapping) or "REJECT" not in str(row.get("status")):
            return row
        given, rejection = row.get("rejection_reason"), row.get("rejection")
        is_shaped = rejection is None or isinstance(rejection, Mapping | Rejection)
        if is_shaped and (rejection or (given and isinstance(given, str))):
            return row
        said = reasons_in(
            row, (*cls.model_fields, "client_instruction_id"), [given, *([] if is_shaped else [rejection])]
        )
        if not said:
            return row
        return {**row, "rejection": rejection if is_shaped else None, "rejection_reason": "; ".join(said)}

    @model_validator(mode="before")
    @classmethod
    def _read_either_name_of_the_callers_key(cls, row: Any) -> Any:
        if isinstance(row, Mapping) and row.get("client_instruction_id") is not None:
            return {**row, "instruction_id": row["client_instruction_id"]}
        return row

    @property
    def was_refused_before_acceptance(self) -> bool:
        """Whether this row exists only in the answer to its submission and will never be listed."""
        return self.id == NIL_UUID

    @property
    def duplicate_of(self) -> str | None:
        """The id of the original instruction, where the API calls this row a duplicate."""
        metadata = (self.rejection and self.rejection.metadata) or {}
        if isinstance(existing := metadata.get("existing_id"), str):
            return existing
        match = _EXISTING_ID.search(self.rejection_reason or "")
        return match.group(1) if match else None


class InstructionRequest(BaseModel):
    """One row to submit: whole contracts of one option, by its UUID, under a caller's key."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    instrument_id: InstrumentId
    instruction_type: InstructionType
    quantity: int
    instruction_id: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            instrument_id: str,
            instruction_type: InstructionType | str,
            quantity: int,
            instruction_id: str | None = None,
        ) -> None: ...
