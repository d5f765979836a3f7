"""What was taken and is not listed yet is not sent again unseen: listings come from another service than answers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from guard.clearing import CALL, CALL_220, GIVING_UP, PUT, PUT_220, SHARES, ClearingDesk, clearing_desk, listed, row
from guard.exchange import held, instrument
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import InvalidBatch
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule

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


async def test_what_was_recorded_for_less_than_asked_counts_as_asked_until_it_is_listed(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        it.clearing.change_answer = lambda made: [each.model_copy(update={"quantity": Decimal(4)}) for each in made]
        assert (await it.submit(row(CALL_220, "EXERCISE", 5))).rows[0].state is RowState.DEVIATED
        it.clearing.exchange.instructions.clear()
        with pytest.raises(InvalidBatch, match="of 5 held 5 are already under instruction"):
            await it.plan(row(CALL_220, "EXERCISE", 5))


@pytest.mark.parametrize("is_listed_anew", [False, True])
@pytest.mark.parametrize("status", [OrderStatus.FILLED, OrderStatus.NEW])
async def test_an_exercise_of_what_a_close_under_way_sells_is_called_out_and_needs_the_supervisor(
    tmp_path: Path, status: OrderStatus, *, is_listed_anew: bool
) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        closed = await it.desk.close(CALL_220)
        for key, order in it.desk.exchange.orders.items():
            filled = order.quantity if status is OrderStatus.FILLED else Decimal(0)
            update = {"status": status, "filled_quantity": filled}
            it.desk.exchange.orders[key] = order.model_copy(update=update)
        if is_listed_anew:
            positions = it.desk.exchange.positions
            positions[instrument(77)] = positions.pop(instrument(CALL))._replace(instrument_id=instrument(77))
        planned = await it.plan(row(CALL_220, "EXERCISE", 5))
        assert planned.verdict is not None
        assert Rule.IN_FLIGHT in {each.rule for each in planned.verdict.needs_desk}
        said = f"The close of {CALL_220} by {closed.operation_id} has not ended: contracts that it sells cannot be"
        assert said in question(planned.operation.plan)
        other = await it.plan(row(PUT_220, "DO_NOT_EXERCISE", 1))
        assert other.verdict is not None
        assert Rule.IN_FLIGHT not in {each.rule for each in other.verdict.findings}


@pytest.mark.requirement("G-02", "G-03")
async def test_an_option_whose_id_stands_for_another_contract_by_now_is_not_instructed(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        planned = await it.plan(row(CALL_220, "EXERCISE", 1))
        it.clearing.exchange.change(CALL, symbol="AAPL261120C00210000")
        report = await it.send(planned)
        assert f"{CALL_220} is called AAPL261120C00210000 now" in report.reason
        assert it.clearing.requests == []


@pytest.mark.requirement("G-02", "G-03")
async def test_an_instruction_whose_id_stands_for_another_contract_by_now_is_not_cancelled(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        it.clearing.exchange.instructions = [listed(1, "EXERCISE", 1)]
        planned = await it.plan_cancel(1)
        it.clearing.exchange.instructions = [listed(1, "EXERCISE", 1, at=PUT)]
        report = await it.send(planned)
        assert "is another one than when it was planned" in report.reason
        assert it.clearing.requests == []
