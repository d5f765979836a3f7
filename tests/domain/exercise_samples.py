"""Options, shares and cards for the tests of consequences: an expiration Friday at 15:00 in New York."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.instruction_samples import book, position
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cards import CardRow, ConsequenceCard
from positions_mcp.domain.exercise.consequences import consequence_cards

READ = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
NOW = READ + timedelta(minutes=2)
CALL, PUT = "AAPL261120C00195000", "AAPL261120P00195000"


def shares(quantity: int = 0, price: str | None = "200.5", **fields: object) -> Position:
    return position("AAPL", quantity, 0, instrument_price=price, **fields)


def option(symbol: str = CALL, quantity: int = 5, number: int = 1, **fields: object) -> Position:
    return position(symbol, quantity, number, **fields)


def card(
    of: Position, kind: str = "EXERCISE", quantity: int = 1, *others: Position, now: datetime = NOW, **fields: object
):
    row = CardRow(position=of, instruction_type=InstructionType(kind), quantity=quantity)
    return consequence_cards([row], book(of, *others, at=READ, **fields), now=now)[0]


def text(of: ConsequenceCard) -> str:
    return "\n".join(of.lines)
