"""The same instruments asked for under other names are the same plan."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from guard.clearing import CALL, CALL_220, clearing_desk, row
from guard.desk import AAPL, CALLER, desk
from guard.exchange import instrument
from positions_mcp.domain.operation.states import OperationState

NAMES = ["AAPL", "aapl", '"AAPL"', instrument(AAPL), instrument(AAPL).upper(), f"AAPL [{instrument(AAPL)}]"]


@pytest.mark.requirement("G-06")
@pytest.mark.parametrize("first", [NAMES[0], NAMES[3]])
@pytest.mark.parametrize("then", NAMES)
async def test_a_symbol_and_its_uuid_lead_to_one_plan(tmp_path: Path, first: str, then: str) -> None:
    async with desk(tmp_path) as it:
        planned = await it.plan(first, "MSFT")
        again = await it.plan("MSFT", then)
        assert again.operation.operation_id == planned.operation.operation_id
        assert again.verdict == planned.verdict
        found = await it.plan("msft", then, create=False)
        assert found.operation.operation_id == planned.operation.operation_id


@pytest.mark.requirement("G-06")
async def test_another_plan_of_the_same_instrument_is_another_plan(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        planned = await it.plan("AAPL")
        others = [
            await it.plan(NAMES[3], cancel_orders=True),
            await it.plan(NAMES[3], "MSFT"),
            await it.plan(NAMES[3], caller=f"{CALLER} 2"),
        ]
        assert len({each.operation.operation_id for each in (planned, *others)}) == 4


@pytest.mark.requirement("G-06")
async def test_a_plan_that_the_book_no_longer_fits_is_not_found_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        planned = await it.plan("AAPL")
        it.exchange.change(AAPL, quantity=Decimal(50), available_quantity=Decimal(50))
        assert (await it.plan(NAMES[3])).operation.operation_id != planned.operation.operation_id
        sent = await it.close("MSFT")
        assert sent.state is OperationState.SUBMITTED


@pytest.mark.requirement("I-02")
async def test_a_contract_and_its_uuid_lead_to_one_batch_with_one_key(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        planned = await it.plan(row(CALL_220))
        again = await it.plan(row(instrument(CALL).upper()))
        assert again.operation.plan == planned.operation.plan
        assert (await it.plan(row(instrument(CALL), key="mine"))).operation.plan != planned.operation.plan
