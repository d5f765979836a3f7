"""The guard on either database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from guard.desk import AAPL, CALLER, TSLA, desk
from positions_mcp.domain.operation.states import OperationState


@pytest.mark.requirement("G-06", "G-14")
async def test_a_plan_is_sent_once_and_followed_to_flat(tmp_path: Path, place: Path | str) -> None:
    async with desk(tmp_path, place=place) as it:
        operation = await it.approved_at_desk("AAPL", "TSLA")
        done = await asyncio.gather(
            *(it.guard.send_approved(operation.operation_id, caller=CALLER) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in done) == ["OperationReport", "Overtaken", "Overtaken"]
        it.exchange.fill(TSLA)
        it.exchange.fill(AAPL)
        assert (await it.guard.operation(operation.operation_id)).state is OperationState.CLOSED
        assert it.store.verify().intact
