"""Option exercise instructions: the rows that are submitted, what the API reports of them, and what they claim."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, sent_for
from positions_mcp.domain.ids import NIL_UUID, AccountId, InstructionId, InstrumentId
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.records import Instant, Record, Text, reasons_in, says_a_refusal, texts_in
from positions_mcp.domain.text import label

_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_USUAL = DeadlineRule()
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
        if not isinstance(row, Mapping) or not says_a_refusal(row.get("status")):
            return row
        rejection = row.get("rejection")
        is_shaped = isinstance(rejection, Mapping | Rejection)
        parts: dict[str, Any] = dict(cast("Any", rejection)) if is_shaped else {"": rejection}
        named = (parts.pop(name, None) for name in ("reason", "description"))
        told = [value for value in named if value and isinstance(value, str)]
        beside = [value for name, value in parts.items() if name not in ("domain", "metadata")]
        # What belongs to the code stands for a reason only where there is nothing else.
        known = (*cls.model_fields, "client_instruction_id")
        said = reasons_in(row, known, [*told, row.get("rejection_reason"), *beside]) or texts_in(parts.get("metadata"))
        return {
            **row,
            "rejection": rejection if is_shaped else None,
            "rejection_reason": "; ".join(text for text in said if text not in told) or None,
        }

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

    def evening(self, calendar: TradingDays, deadline: DeadlineRule) -> date | None:
        """The day that it was sent for; None where the API does not say when it was sent."""
        sent = self.created_at or self.updated_at
        return None if sent is None else sent_for(sent, calendar, deadline).day

    @property
    def words_of_refusal(self) -> str:
        """Why it was refused, in the API's own words; its code where it gave no words, and empty without either."""
        description = (self.rejection and self.rejection.description) or ""
        beside = self.rejection_reason or ""
        if description in beside or beside in description:
            return max(description, beside, key=len) or (self.rejection.reason if self.rejection else "")
        return f"{description}; {beside}"

    @property
    def duplicate_of(self) -> str | None:
        """The id of the original instruction, where the API calls this row a duplicate."""
        metadata = (self.rejection and self.rejection.metadata) or {}
        if isinstance(existing := metadata.get("existing_id"), str):
            return existing
        match = _EXISTING_ID.search(self.rejection_reason or "")
        return match.group(1) if match else None


def _whole(value: object) -> object:
    if isinstance(value, bool | bytes) or (isinstance(value, str) and not _DIGITS.fullmatch(value)):
        raise ValueError("a quantity is a whole number, such as 2")
    return value


class InstructionRequest(BaseModel):
    """One row to submit: whole contracts of one option, by its UUID, under a caller's key."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    instrument_id: InstrumentId
    instruction_type: InstructionType
    quantity: Annotated[int, BeforeValidator(_whole)]
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


@dataclass(frozen=True, slots=True)
class Claim:
    """One outstanding instruction and the whole contracts it claims; None where the API does not say how many."""

    instruction: Instruction
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What instructions claim of one contract."""

    each: tuple[Claim, ...]

    @property
    def quantity(self) -> Decimal:
        """Contracts claimed, as far as their number is known."""
        return exact_sum(claim.quantity for claim in self.each if claim.quantity is not None)

    @property
    def has_unknown_quantity(self) -> bool:
        """Whether some instruction claims a number of contracts that is not known."""
        return any(claim.quantity is None for claim in self.each)

    def of_type(self, *types: InstructionType) -> Decimal:
        """Contracts claimed by instructions of these types."""
        known = (claim for claim in self.each if claim.instruction.instruction_type in types)
        return exact_sum(claim.quantity for claim in known if claim.quantity is not None)

    @property
    def exercising(self) -> Decimal:
        """Contracts that are to be exercised, as far as their number is known."""
        return self.quantity - self.of_type(InstructionType.DO_NOT_EXERCISE)

    @property
    def said(self) -> str:
        """In words: `EXERCISE 2 SENT, DO_NOT_EXERCISE 1 ACCEPTED`."""
        return ", ".join(
            f"{label(claim.instruction.instruction_type)} "
            f"{'?' if claim.quantity is None else plain(claim.quantity)} {label(claim.instruction.status)}"
            for claim in self.each
        )


class Outstanding:
    """The instructions that still claim contracts, by contract.

    Sent ones, those whose end is not known, and a cancel not known to have succeeded claim what they asked. An
    accepted one claims what was accepted until the session after the one it was sent for: then the book shows its
    effect. What was sent after a day's cut-off was sent for the next one.
    """

    def __init__(
        self, listed: Iterable[Instruction], *, now: datetime, calendar: TradingDays, deadline: DeadlineRule = _USUAL
    ) -> None:
        self._listed, self._now, self._calendar, self._deadline = tuple(listed), now, calendar, deadline
        today = new_york_day(now)
        session = calendar.session_on(today) or calendar.previous_session(today)
        self._claims: dict[InstrumentId, list[Claim]] = {}
        for instruction in self._listed:
            if instruction.instrument_id is None or not instruction.status.is_outstanding:
                continue
            if instruction.was_refused_before_acceptance:
                continue
            if instruction.status is InstructionStatus.ACCEPTED:
                day = instruction.evening(calendar, deadline)
                if day is not None and day < session.day:
                    continue
            self._claims.setdefault(instruction.instrument_id, []).append(Claim(instruction, _claimed(instruction)))

    @property
    def is_empty(self) -> bool:
        return not self._claims

    def on(self, instrument_id: InstrumentId) -> Claims:
        return Claims(tuple(self._claims.get(instrument_id, ())))

    def beside(self, contracts: Collection[InstrumentId]) -> int:
        """How many instructions are on other contracts."""
        return sum(len(each) for key, each in self._claims.items() if key not in contracts)

    def without(self, instruction_id: InstructionId) -> Outstanding:
        """The claims of all others, as if this instruction were withdrawn."""
        rest = [each for each in self._listed if each.id != instruction_id]
        return Outstanding(rest, now=self._now, calendar=self._calendar, deadline=self._deadline)


def _claimed(instruction: Instruction) -> Decimal | None:
    if instruction.status is InstructionStatus.ACCEPTED and instruction.accepted_quantity is not None:
        return instruction.accepted_quantity
    return instruction.quantity
