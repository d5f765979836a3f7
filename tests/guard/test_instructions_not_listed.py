"""What was taken and is not listed yet is not sent again unseen: listings come from another service than answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from guard.clearing import CALL, CALL_220, GIVING_UP, SHARES, ClearingDesk, clearing_desk, row
from guard.exchange import held, instrument
from positions_mcp.domain.errors import InvalidBatch
from positions_mcp.guard.approval.questions import question

FACTS = {"underlying_instrument_id": instrument(SHARES)}
pytestmark = pytest.mark.requirement("I-03", "G-18")


async def taken(it: ClearingDesk, quantity: int, kind: str = "EXERCISE") -> None:
    """A batch that was answered SENT, and is in no listing."""
    await it.submit(row(CALL_220, kind, quantity))
    it.clearing.exchange.instructions.clear()


@pytest.mark.parametrize(("first", "again"), [(5, 1), (3, 3), (4, 5)])
@pytest.mark.parametrize("kind", ["EXERCISE", "DO_NOT_EXERCISE"])
async def test_more_than_is_left_beside_what_is_not_listed_yet_is_refused(
    tmp_path: Path, first: int, again: int, kind: str
) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        await taken(it, first, kind)
        with pytest.raises(InvalidBatch, match=rf"of 5 held {first} are already under instruction \({first} sent and"):
            await it.plan(row(CALL_220, "EXERCISE", again))
        assert len(it.clearing.requests) == 1


async def test_what_is_left_may_be_instructed_and_the_card_says_what_comes_before(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        await taken(it, 2)
        asked = question((await it.plan(row(CALL_220, "EXERCISE", 2))).operation.plan)
        assert "Warning: 2 sent and not listed yet: this comes on top of what was sent before." in asked
        assert f"EXERCISE 2 {CALL_220} was sent and is not listed" in asked
        assert "5 (2 exercised on instruction, 2 exercised by this batch, 1 exercised by exception)" in asked


@pytest.mark.parametrize("status", ["SENT", "ACCEPTED", "REJECTED", "CANCELLED"])
async def test_what_is_listed_counts_as_it_is_listed(tmp_path: Path, status: str) -> None:
    async with clearing_desk(tmp_path) as it:
        await it.submit(row(CALL_220, "EXERCISE", 2))
        (made,) = it.clearing.exchange.instructions
        it.clearing.exchange.instructions = [made.model_copy(update={"status": type(made.status)(status)})]
        asked = question((await it.plan(row(CALL_220, "EXERCISE", 1))).operation.plan)
        assert "not listed" not in asked


async def test_the_next_day_the_listing_is_believed(tmp_path: Path) -> None:
    later = "AAPL261218C00220000"
    positions = (held("AAPL", 600, price="231.00", number=SHARES), held(later, 5, price="14.00", number=CALL, **FACTS))
    async with clearing_desk(tmp_path, positions=positions, policy=GIVING_UP) as it:
        await it.submit(row(later, "EXERCISE", 5))
        it.clearing.exchange.instructions.clear()
        it.desk.clock.advance(timedelta(days=3))
        assert "not listed" not in question((await it.plan(row(later, "EXERCISE", 5))).operation.plan)
