"""Contracts that instructions already claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.exercise.cutoffs import TradingDays
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import InstructionId, InstrumentId
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.text import label


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
    accepted one claims what was accepted until the next session's book shows its effect.
    """

    def __init__(self, listed: Iterable[Instruction], *, now: datetime, calendar: TradingDays) -> None:
        self._listed, self._now, self._calendar = tuple(listed), now, calendar
        today = new_york_day(now)
        session = calendar.session_on(today) or calendar.previous_session(today)
        self._claims: dict[InstrumentId, list[Claim]] = {}
        for instruction in self._listed:
            if instruction.instrument_id is None or not instruction.status.is_outstanding:
                continue
            if instruction.was_refused_before_acceptance:
                continue
            if instruction.status is InstructionStatus.ACCEPTED:
                settled_in = instruction.updated_at or instruction.created_at
                if settled_in is not None and new_york_day(settled_in) < session.day:
                    continue
            self._claims.setdefault(instruction.instrument_id, []).append(Claim(instruction, _claimed(instruction)))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is claimed."""
        return not self._claims

    def on(self, instrument_id: InstrumentId) -> Claims:
        """What is claimed of one contract."""
        return Claims(tuple(self._claims.get(instrument_id, ())))

    def without(self, instruction_id: InstructionId) -> Outstanding:
        """The claims of all others, as if this instruction were withdrawn."""
        rest = [each for each in self._listed if each.id != instruction_id]
        return Outstanding(rest, now=self._now, calendar=self._calendar)


def _claimed(instruction: Instruction) -> Decimal | None:
    if instruction.status is InstructionStatus.ACCEPTED and instruction.accepted_quantity is not None:
        return instruction.accepted_quantity
    return instruction.quantity
