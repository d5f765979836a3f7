"""The report on a submitted batch of instructions: every row's outcome, and a first line a person can read aloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.ids import InstructionId, InstrumentId
from positions_mcp.domain.money import plain
from positions_mcp.domain.text import counted

_MOST_CAUSES = 3


class RowOutcome(StrEnum):
    """What is known of one row. Every row that was submitted has exactly one of the first five."""

    SENT = "sent"
    """Handed to clearing, which has not yet accepted it."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    MISSING = "missing"
    """The answer says nothing of it: it may have been taken."""
    UNKNOWN = "unknown"
    NOT_SENT = "not sent"
    """Provably nothing of the batch left this machine."""


class KeyEcho(StrEnum):
    """Whether the server gave a row's key back. Where it did not, nothing protects a resubmission from doubling."""

    ECHOED = "echoed"
    IGNORED = "ignored"
    NOT_SEEN = "not seen"


def honours_keys(echoes: Collection[KeyEcho]) -> bool | None:
    """Whether a server showed that it reads callers' keys: not once it ignored one; None without evidence."""
    return False if KeyEcho.IGNORED in echoes else True if KeyEcho.ECHOED in echoes else None


class NextStep(StrEnum):
    """What may be done about a row. No resubmission is ever done by the program; each is a plan a person decides."""

    NOTHING = "nothing"
    WAIT = "wait"
    SAME_KEY = "may be resubmitted with the same key"
    NEW_KEY = "may be resubmitted with a new key"
    MUST_NOT = "must not be resubmitted"


class RowVerdict(BaseModel):
    """What is known of one row, and what may be done. Text of the API is cleaned, and is to be quoted as data."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    outcome: RowOutcome
    said: str = ""
    """The cause in words of this program; what it does not understand is quoted."""
    next_step: NextStep
    advice: str
    reason_code: str | None = None
    reason: str | None = None
    """The API's own words."""
    duplicate_of: str | None = None
    """Server id of the instruction that this row would have repeated."""
    deviation: str | None = None
    """How what the API recorded differs from what was asked."""
    note: str | None = None


class RowReport(RowVerdict):
    """One planned row and what came of it."""

    index: int = Field(ge=0)
    """Its place in the plan, from 0."""
    instrument_id: InstrumentId
    symbol: str
    instruction_type: InstructionType
    quantity: int
    key: str
    """The caller's key it was submitted under."""
    key_echo: KeyEcho = KeyEcho.NOT_SEEN
    status: str | None = None
    """The API's own status, cleaned."""
    server_id: InstructionId | None = None
    """None where the API assigned none."""
    accepted_quantity: Decimal | None = None

    @property
    def is_accepted_for_less(self) -> bool:
        accepted = self.accepted_quantity
        return self.outcome is RowOutcome.ACCEPTED and accepted is not None and accepted < self.quantity


class UnexpectedRow(BaseModel):
    """A row of the answer that answers no planned row, or says something of one again."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    server_id: InstructionId | None
    key: str | None
    instrument: str
    instruction_type: str
    quantity: Decimal | None
    status: str
    repeats: int | None = None
    """Index of the planned row that it repeats."""


class BatchReport(BaseModel):
    """What became of a batch. Every planned row stands here once, in the plan's order."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    rows: tuple[RowReport, ...] = Field(min_length=1)
    unexpected: tuple[UnexpectedRow, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Rows of the answer that could not be read, each with the reason."""
    keys_honoured: bool | None = None
    """Whether the server showed that it reads callers' keys: False once it ignored one, None without evidence."""
    http_status: int | None = None
    request_id: str | None = None
    message: str | None = None
    """The API's summary of the whole answer, cleaned, to be quoted as data."""

    @model_validator(mode="after")
    def _has_every_row_once(self) -> Self:
        if [row.index for row in self.rows] != list(range(len(self.rows))):
            raise ValueError("a batch report has every planned row once, in order")
        if len({row.outcome is RowOutcome.NOT_SENT for row in self.rows}) != 1:
            raise ValueError("a batch leaves as a whole or not at all")
        return self

    @property
    def counts(self) -> dict[RowOutcome, int]:
        """Rows by outcome, every outcome named. They add up to the number of rows."""
        return {outcome: sum(row.outcome is outcome for row in self.rows) for outcome in RowOutcome}

    def with_outcome(self, *outcomes: RowOutcome) -> tuple[RowReport, ...]:
        return tuple(row for row in self.rows if row.outcome in outcomes)

    @property
    def is_settled(self) -> bool:
        """Whether nothing about any row is in doubt or still to come."""
        in_doubt = self.with_outcome(RowOutcome.MISSING, RowOutcome.UNKNOWN)
        return not in_doubt and not any(row.next_step is NextStep.WAIT for row in self.rows)

    @property
    def headline(self) -> str:
        """One sentence for a person: what differs first, then every row by outcome, then what else came back."""
        parts = [part for outcome in RowOutcome if (part := self._part(outcome))]
        parts[0] = parts[0].replace(" ", f" of {len(self.rows)} ", 1)
        repeated = sum(row.repeats is not None for row in self.unexpected)
        if others := len(self.unexpected) - repeated:
            parts.append(f"{counted(others, 'row')} came back that nobody asked for")
        if repeated:
            parts.append(f"{counted(repeated, 'row')} came back again")
        if self.unreadable:
            parts.append(f"{counted(len(self.unreadable), 'row')} could not be read")
        if self.keys_honoured is False:
            parts.append("the server ignored the keys, so nothing protects a resubmission from doubling")
        return f"{self._deviations()}{'; '.join(parts)}."

    def _deviations(self) -> str:
        deviating = [row for row in self.rows if row.deviation]
        if not deviating:
            return ""
        first = f"row {deviating[0].index + 1}: {deviating[0].deviation}"
        more = f" and {len(deviating) - 1} more" if len(deviating) > 1 else ""
        return f"DEVIATED from what was asked, {first}{more}. "

    def _part(self, outcome: RowOutcome) -> str:
        rows = self.with_outcome(outcome)
        if not rows:
            return ""
        count = f"{len(rows)} {outcome}"
        match outcome:
            case RowOutcome.SENT:
                return count + _awaiting_clearing(rows)
            case RowOutcome.ACCEPTED:
                return count + _accepted_for_less(rows)
            case RowOutcome.REJECTED | RowOutcome.NOT_SENT:
                return f"{count}: {_causes(row.said for row in rows)}"
            case RowOutcome.MISSING:
                return f"{count} from the answer and possibly taken: do not submit again, look up"
            case RowOutcome.UNKNOWN:
                return f"{count}: {_causes(row.said for row in rows)}: do not submit again, look up"


def _awaiting_clearing(rows: Iterable[RowReport]) -> str:
    """What those have become that clearing no longer decides about, because they were cancelled or are to be."""
    later = Counter(row.status or "" for row in rows)
    waiting = later.pop("SENT", 0)
    return "".join(
        [", awaiting clearing" if waiting else "", *(f", {count} now {status}" for status, count in later.items())]
    )


def _accepted_for_less(rows: Iterable[RowReport]) -> str:
    less = [row for row in rows if row.is_accepted_for_less]
    if not less:
        return ""
    first = less[0]
    detail = f"asked {first.quantity}, accepted {plain(first.accepted_quantity or Decimal(0))}"
    return f", {len(less)} of them for less than asked (row {first.index + 1}: {detail})"


def _causes(said: Iterable[str]) -> str:
    """The distinct causes in order, the first few of them."""
    causes = list(dict.fromkeys(said))
    shown = causes[:_MOST_CAUSES]
    rest = len(causes) - len(shown)
    return ", ".join([*shown, *([f"and {rest} more causes" if rest > 1 else "and 1 more cause"] if rest else [])])
