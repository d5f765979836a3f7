"""How a person's commands show a batch of instructions and a cancel."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.clearing import CALL_220, PUT_220, clearing_desk, listed, row
from positions_mcp.cli.words import operation_text


@pytest.mark.requirement("I-01", "I-05")
async def test_a_batch_and_a_cancel_are_shown_without_words_that_belong_to_closes(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        sent = operation_text(
            await it.submit(row(CALL_220, quantity=2), row(PUT_220, "DO_NOT_EXERCISE")), "positions-mcp {}".format
        )
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        cancelled = operation_text(await it.send(await it.plan_cancel(1)), "positions-mcp {}".format)
    assert "2 of 2 sent, awaiting clearing." in sent
    assert "EXERCISE 2" in sent
    assert "cancel DO_NOT_EXERCISE 2" in cancelled
    assert "Requested, not yet cancelled" in cancelled
    for text in (sent, cancelled):
        assert "cancel_orders" not in text
        assert "not read" not in text
