"""The same instruments asked for under other names are the same plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.clearing import CALL, CALL_220, clearing_desk, row
from guard.desk import AAPL, desk
from guard.exchange import instrument

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


@pytest.mark.requirement("I-02")
async def test_a_contract_and_its_uuid_lead_to_one_batch_with_one_key(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        planned = await it.plan(row(CALL_220))
        again = await it.plan(row(instrument(CALL).upper()))
        assert again.operation.plan == planned.operation.plan
        assert (await it.plan(row(instrument(CALL), key="mine"))).operation.plan != planned.operation.plan
