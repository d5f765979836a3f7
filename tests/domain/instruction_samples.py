"""Planned rows and answers for the tests of instructions, as the two contracts write them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from domain.books import POSITIONS
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.batch.report import SubmitAnswer, batch_report
from positions_mcp.domain.batch.rows import BatchReport
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import NIL_UUID, AccountId, InstrumentId
from positions_mcp.domain.operation.plan import InstructionTarget
from positions_mcp.domain.operation.records import Metadata, Problem, Response, UnreadableRow

ACCOUNT = AccountId(19816)
Dialect = Literal["seed", "current"]
PROBLEM = Problem(code=1, message="the batch failed")
DIALECTS: tuple[Dialect, ...] = ("seed", "current")


def uuid_of(number: int, family: int = 0) -> str:
    return f"0195f6d0-a1b2-7c3d-{8000 + family}-{number:012x}"


def planned(count: int = 3, *, quantity: int = 5, kind: str = "EXERCISE") -> list[InstructionTarget]:
    """`count` rows on as many contracts, under the keys key-0, key-1, …"""
    return [target(index, quantity=quantity, kind=kind) for index in range(count)]


def target(index: int, *, contract: int | None = None, key: str = "", quantity: int = 5, kind: str = "EXERCISE"):
    number = index if contract is None else contract
    return InstructionTarget(
        symbol=f"AAPL280121C{(100 + number) * 1000:08d}",
        instrument_id=InstrumentId(uuid_of(number, 1)),
        measure=Decimal(0),
        instruction_type=InstructionType(kind),
        quantity=quantity,
        instruction_key=key or f"key-{index}",
    )


def answer_to(row: InstructionTarget, status: str = "SENT", *, dialect: Dialect = "seed", **fields: Any) -> Instruction:
    """The row that a well-behaved server answers; `fields` replace what it says."""
    key_name = "instruction_id" if dialect == "seed" else "client_instruction_id"
    number = int(row.instruction_key.rpartition("-")[2])
    answer: dict[str, Any] = {
        "id": uuid_of(number, 2),
        "account_id": ACCOUNT,
        key_name: row.instruction_key,
        "instruction_type": row.instruction_type.value,
        "instrument_id": row.instrument_id,
        "quantity": str(row.quantity),
        "status": status,
        "symbol": row.symbol,
    }
    return Instruction.model_validate(answer | fields)


def rejected(
    row: InstructionTarget, reason: str, text: str, *, dialect: Dialect = "seed", **metadata: str
) -> Instruction:
    """A row refused before acceptance: nil id, and the cause as the dialect tells it."""
    if dialect == "seed":
        details = "".join(f" {name}={value}" for name, value in metadata.items())
        fields = {"rejection_reason": f"{reason}: {text}{details}"}
        return answer_to(row, "ENGINE_REJECTED", dialect=dialect, id=NIL_UUID, **fields)
    rejection = {"reason": reason, "domain": "oems", "description": text, "metadata": metadata}
    return answer_to(row, "REJECTED", dialect=dialect, id=NIL_UUID, rejection_reason=text, rejection=rejection)


def insufficient(row: InstructionTarget, *, dialect: Dialect = "seed", available: str = "2") -> Instruction:
    return rejected(
        row,
        "INSUFFICIENT_POSITION",
        "Insufficient position",
        dialect=dialect,
        available=available,
        requested=str(row.quantity),
    )


def position(symbol: str, quantity: int | str, number: int, **fields: Any) -> Position:
    """A position; an option's symbol is an OSI one, and shares of AAPL are instrument 0 unless told otherwise."""
    is_option = len(symbol) > 12
    given: dict[str, Any] = {
        "account_id": ACCOUNT,
        "instrument_id": uuid_of(number, 3),
        "quantity": str(quantity),
        "available_quantity": str(quantity),
        "symbol": symbol,
        "instrument_type": "OPTION" if is_option else "COMMON_STOCK",
        "underlying_instrument_id": uuid_of(0, 3) if is_option else None,
    }
    return POSITIONS.validate_python(given | fields)


def book(*positions: Position, at: datetime = datetime(2026, 11, 20, 20, 0, tzinfo=UTC), **fields: Any) -> Book:
    return Book(account_id=ACCOUNT, positions=positions, as_of=at, **fields)


def responded(
    rows: list[Instruction],
    status: int = 207,
    *,
    error: Problem | None = None,
    unreadable: tuple[UnreadableRow, ...] = (),
) -> SubmitAnswer:
    return SubmitAnswer.from_response(
        Response[list[Instruction]](
            data=rows, status=status, error=error, unreadable=unreadable, metadata=Metadata(request_id="req-1")
        )
    )


def report(rows: list[Instruction], status: int = 207, *, count: int = 3, **more: object) -> BatchReport:
    return batch_report(planned(count), responded(rows, status, **more), account_id=ACCOUNT)


def outcomes(result: BatchReport) -> tuple[str, ...]:
    return tuple(row.outcome.value for row in result.rows)
