"""`list_positions` names the orders and instructions that lock a position, where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from positions_mcp.domain.errors import ReadFailed, Sent
from tools.serving import StubBroker, call, data_of, held, paper_server, server_over


async def locks(server: Any, era: str, **given: Any) -> dict[str, str]:
    data = data_of(await call(server, "list_positions", given, era=era))
    place = data["columns"].index("locked_by")
    return {row[0]: row[place] for row in data["rows"]}


@pytest.mark.requirement("G-13")
@pytest.mark.parametrize("given", [{"locked": True}, {"detail": "full"}], ids=["locked", "full"])
async def test_what_locks_is_named_by_order_and_instruction(era: str, tmp_path: Path, given: dict[str, Any]) -> None:
    with paper_server(tmp_path, "demo") as server:
        said = await locks(server, era, **given)
    assert said["MSFT"].startswith("40 by open orders: order ")
    assert said["MSFT"].endswith(" (SELL 40)")
    assert said["NVDA261120P00160000"].startswith("1 by the exercise instruction EXERCISE 1 ACCEPTED, id ")
    assert said.get("KO", "") == ""


async def test_orders_are_not_read_where_nothing_is_locked_or_nobody_asks(era: str) -> None:
    broker = StubBroker(positions=[held("KO", "5", available_quantity="5")])
    await call(server_over(broker), "list_positions", {"detail": "full"}, era=era)
    locked = StubBroker(positions=[held("KO", "5", available_quantity="2")])
    await call(server_over(locked), "list_positions", era=era)
    assert (broker.requests, locked.requests) == (1, 1)


async def test_orders_that_are_refused_are_said_and_the_rows_are_answered(era: str) -> None:
    broker = Refusing(positions=[held("KO", "5", available_quantity="2")])
    assert await locks(server_over(broker), era, locked=True) == {
        "KO": "3 by open orders (orders could not be read)",
    }


class Refusing(StubBroker):
    """Lists everything but orders."""

    async def read_orders(self, account_id: Any, **_: Any) -> Any:
        raise ReadFailed("Refused.", sent=Sent.YES)
