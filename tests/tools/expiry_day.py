"""An expiry afternoon for tests: who holds what, and how rows are asked for and read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp import Client

from tools.serving import data_of
from trading import Floor, Person, trading_floor

AFTERNOON = datetime(2026, 11, 20, 19, 30, tzinfo=UTC)
"""14:30 in New York on a Friday on which five contracts of the scenario expire."""
AAPL, NVDA, AMD, TSLA, MSFT = (
    "AAPL261120C00220000", "NVDA261120P00175000", "AMD261120C00185000", "TSLA261120C00310000", "MSFT261120C00450000",
)  # fmt: skip


def row(instrument: str, kind: str = "EXERCISE", quantity: str = "1", **more: str) -> dict[str, str]:
    return {"instrument": instrument, "instruction_type": kind, "quantity": quantity, **more}


def batch(*rows: dict[str, str]) -> dict[str, Any]:
    return {"instructions": list(rows)}


@asynccontextmanager
async def afternoon(
    folder: Path, era: str, person: Person | None = None, **said: Any
) -> AsyncIterator[tuple[Floor, Client]]:
    """With `give_up_above` far off, so that a form will do for what gives money up."""
    approval = {"wait_s": 0, "give_up_above": 1_000_000} | said.pop("approval", {})
    async with (
        trading_floor(folder, scenario="expiry", at=AFTERNOON, approval=approval, **said) as floor,
        floor.client(era, person) as client,
    ):
        yield floor, client


async def ids_by_key(client: Client) -> dict[str, str]:
    listed = data_of(await client.call_tool("list_instructions", {}))
    return {each[listed["columns"].index("key")]: each[0] for each in listed["rows"]}


def cell(data: dict[str, Any], place: int, column: str) -> str:
    return str(data["rows"][place][data["columns"].index(column)])
