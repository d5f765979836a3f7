"""How one kind of operation is sent and accounted for. The executor is the same for all kinds; this is what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from positions_mcp.domain.batch.rows import RowReport, UnexpectedRow
from positions_mcp.domain.ids import InstructionId
from positions_mcp.domain.operation.operation import Operation, Reservation, Row, SentOrder
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.staleness import Comparison


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one answer says of one row."""

    state: RowState
    detail: str = ""
    orders: tuple[SentOrder, ...] = ()
    instruction_id: InstructionId | None = None
    answered: RowReport | None = None
    unexpected: tuple[UnexpectedRow, ...] = ()
    unreadable: tuple[str, ...] = ()
    request_id: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one answer says of every row of its request, and of anything that no row expected."""

    outcomes: Mapping[int, Outcome]
    unexpected: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the rows it stands for, by position, and what each reserves."""

    rows: Mapping[int, Reservation]


class Sender(Protocol):
    """Sends and accounts for one kind of operation."""

    def compare(self, plan: Plan, facts: Facts) -> Comparison:
        """What the facts, just read, say against the plan."""
        ...

    def requests(self, plan: Plan, comparison: Comparison) -> Sequence[Request]:
        """The requests, in the order of sending; rows already flat are in none."""
        ...

    def obstacle(self, operation: Operation, request: Request, facts: Facts) -> str:
        """Why this request may not be sent after what became of the ones before it; empty if it may."""
        ...

    async def send(self, operation: Operation, request: Request) -> Answer:
        """Send once and account for every row of the request.

        Raises:
            NothingSent, RequestRejected, OutcomeUnknown: as the ports do; the executor accounts for these.
        """
        ...

    async def follow(self, operation: Operation, facts: Facts) -> Sequence[Row]:
        """Rows of which something new is known, from facts just read."""
        ...
