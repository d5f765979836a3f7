"""One close from plan to flat, and what becomes of it on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.desk import AAPL, CALLER, TSLA, desk
from guard.exchange import instrument
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.approval.questions import Rung


@pytest.mark.requirement("G-01", "G-14")
async def test_a_yes_in_the_client_sends_one_request_for_each_instrument_and_submitted_is_not_closed(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        planned = await it.plan("AAPL", "TSLA")
        assert (await it.guard.step(planned, can_elicit=True)).rung is Rung.ELICITATION
        assert it.exchange.requests == []
        operation = await it.guard.ask(planned.operation)
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.effects == [instrument(TSLA), instrument(AAPL)]
        assert report.decision.endswith("elicitation, client Claude")
        it.exchange.fill(TSLA)
        it.exchange.fill(AAPL, 40)
        report = await it.guard.operation(operation.operation_id)
        assert report.state is OperationState.SUBMITTED
        assert {row.symbol: row.residual for row in report.rows} == {"TSLA": 0, "AAPL": 60}
        it.exchange.fill(AAPL)
        report = await it.guard.operation(operation.operation_id)
        assert report.state is OperationState.CLOSED
        assert {row.state for row in report.rows} == {RowState.SUBMITTED}
        assert it.store.verify().intact
