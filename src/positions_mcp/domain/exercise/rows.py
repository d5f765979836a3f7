"""A batch of exercise instructions as a caller asks for it, and as it stands after its checks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import InstructionType


class RowRule(StrEnum):
    """The rules a row or a batch can break."""

    NO_ROWS = "no rows"
    TOO_MANY_ROWS = "too many rows"
    UNKNOWN_TYPE = "unknown instruction type"
    QUANTITY_NOT_WHOLE = "quantity not whole contracts"
    UNUSABLE_KEY = "unusable key"
    REUSED_KEY = "reused key"
    REPEATED_ROW = "repeated row"
    NOT_HELD = "not held"
    AMBIGUOUS = "ambiguous instrument"
    NOT_AN_OPTION = "not an option"
    UNRESOLVED_CONTRACT = "unresolved contract"
    SHORT_POSITION = "short position"
    EXPIRED = "expired contract"
    EUROPEAN = "european exercise"
    OFF_EXPIRY_DAY = "off the expiry day"
    DEADLINE_PASSED = "deadline passed"
    INSUFFICIENT_POSITION = "insufficient position"
    ALREADY_INSTRUCTED = "already under instruction"


class InstructionRow(BaseModel):
    """One row as a caller asks for it: everything is text until it is checked."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    instrument: str
    """Symbol, OSI option symbol in any spacing, or UUID."""
    instruction_type: str
    quantity: str
    instruction_id: str | None = None
    """The caller's key; without one the plan generates it."""


class RowFinding(BaseModel):
    """A rule that was broken, and how, for a person to read."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    rule: RowRule
    message: str


class CheckedRow(BaseModel):
    """A row after its checks. `position`, `instruction_type` and `quantity` are there as far as they could be read."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    index: int
    """From 0, in the order asked."""
    asked: InstructionRow
    position: Position | None = None
    instruction_type: InstructionType | None = None
    quantity: int | None = None
    deadline: datetime | None = None
    """The instant, in New York, from which no more instructions are taken for the day it is sent for."""
    findings: tuple[RowFinding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing stands against this row."""
        return not self.findings


class CheckedBatch(BaseModel):
    """A batch after its checks. `findings` are those of the batch as a whole; then no row was looked at."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    rows: tuple[CheckedRow, ...] = ()
    findings: tuple[RowFinding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether the batch may be put before a person."""
        return not self.findings and all(row.is_valid for row in self.rows)
