"""A clearing house behind the instruction port: takes what is submitted, or answers as a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.desk import CALLER, POLICY, Desk, desk
from guard.exchange import ACCOUNT, Exchange, StandingClock, held, instrument
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest
from positions_mcp.domain.exercise.rows import InstructionRow
from positions_mcp.domain.ids import AccountId, InstructionId
from positions_mcp.domain.operation.records import Metadata, Response
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.reports import OperationReport

Answer = Callable[[list[Instruction]], list[Instruction]]
SHARES, CALL, PUT, SHORT = 1, 2, 3, 4
GIVING_UP = POLICY.model_copy(update={"give_up_above": None})
"""Lets a form decide whatever is given up."""
CALL_220, PUT_220, CALL_230 = "AAPL261120C00220000", "AAPL261120P00220000", "AAPL261120C00230000"


def number_of(instruction: int) -> InstructionId:
    return InstructionId(f"0195f6d0-a1b2-7c3d-8e4f-{instruction:012d}")


def listed(number: int, kind: str, quantity: int, *, at: int = CALL, **fields: Any) -> Instruction:
    """An instruction as the account lists it."""
    row = {
        "id": number_of(number),
        "account_id": ACCOUNT,
        "instruction_type": InstructionType(kind),
        "status": InstructionStatus.SENT,
        "instrument_id": instrument(at),
        "instruction_id": f"earlier-{number}",
        "quantity": Decimal(quantity),
        "symbol": {CALL: CALL_220, PUT: PUT_220}[at],
    }
    return Instruction.model_validate(row | fields)


@dataclass(slots=True)
class Clearing:
    """Implements the instruction writer over the lists of a small exchange."""

    exchange: Exchange
    requests: list[tuple[InstructionRequest, ...] | InstructionId] = field(default_factory=list)
    change_answer: Answer | None = None
    after: list[Callable[[], Any]] = field(default_factory=list)
    """Awaited one by one after the effect of a write, before its answer; usually raise."""

    async def submit_position_instructions(
        self, account_id: AccountId, instructions: Sequence[InstructionRequest]
    ) -> Response[list[Instruction]]:
        self.requests.append(tuple(instructions))
        made = [
            Instruction(
                id=number_of(100 + len(self.exchange.instructions) + place),
                account_id=account_id,
                instruction_type=row.instruction_type,
                status=InstructionStatus.SENT,
                instrument_id=row.instrument_id,
                instruction_id=row.instruction_id,
                quantity=Decimal(row.quantity),
            )
            for place, row in enumerate(instructions)
        ]
        self.exchange.instructions += made
        if self.after:
            await self.after.pop(0)()
        answered = self.change_answer(made) if self.change_answer else made
        return Response[list[Instruction]](data=answered, metadata=Metadata(request_id="req-1"))

    async def cancel_position_instruction(
        self, account_id: AccountId, instruction_id: InstructionId
    ) -> Response[Instruction]:
        self.requests.append(instruction_id)
        self.become(instruction_id, InstructionStatus.CANCEL_REQUESTED)
        if self.after:
            await self.after.pop(0)()
        found = next(each for each in self.exchange.instructions if each.id == instruction_id)
        answered = self.change_answer([found])[0] if self.change_answer else found
        return Response[Instruction](data=answered)

    def become(self, instruction_id: str, status: InstructionStatus, **fields: Any) -> None:
        """Change an instruction as clearing would."""
        rows = self.exchange.instructions
        for place, each in enumerate(rows):
            if each.id == instruction_id:
                rows[place] = each.model_copy(update={"status": status, **fields})


@dataclass(slots=True)
class ClearingDesk:
    """A guard that may submit and cancel instructions."""

    desk: Desk
    clearing: Clearing

    async def plan(self, *rows: InstructionRow) -> Planned:
        return await self.desk.guard.plan(SubmitRequest(account_id=ACCOUNT, rows=rows), caller=CALLER)

    async def plan_cancel(self, number: int) -> Planned:
        request = CancelRequest(account_id=ACCOUNT, instruction_id=number_of(number))
        return await self.desk.guard.plan(request, caller=CALLER)

    async def send(self, planned: Planned) -> OperationReport:
        """Ask, and a yes in the client."""
        operation = await self.desk.guard.ask(planned.operation)
        return await self.desk.guard.send_elicited(operation, caller=CALLER, client="Claude")

    async def submit(self, *rows: InstructionRow) -> OperationReport:
        return await self.send(await self.plan(*rows))


def usual_book() -> tuple[Any, ...]:
    """Shares at 231, a call and a put of 220 that expire today, five of each."""
    facts = {"underlying_instrument_id": instrument(SHARES)}
    return (
        held("AAPL", 600, price="231.00", number=SHARES),
        held(CALL_220, 5, price="11.10", number=CALL, **facts),
        held(PUT_220, 5, price="0.01", number=PUT, **facts),
    )


@asynccontextmanager
async def clearing_desk(folder: Path, *, positions: Sequence[Any] | None = None, **options: Any):
    """A guard on a small exchange with a clearing house."""
    clock = StandingClock()
    exchange = Exchange(clock)
    exchange.hold(*(usual_book() if positions is None else positions))
    clearing = Clearing(exchange)
    async with desk(folder, exchange=exchange, clock=clock, instruction_writer=clearing, **options) as it:
        yield ClearingDesk(it, clearing)


def row(instrument_name: str, kind: str = "EXERCISE", quantity: int = 1, key: str | None = None) -> InstructionRow:
    return InstructionRow(instrument=instrument_name, instruction_type=kind, quantity=str(quantity), instruction_id=key)
