"""What one caller asks for without end is refused in time, and leaves room for others and for a person."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from guard.desk import CALLER, PASSPHRASE, POLICY, Desk, desk
from guard.exchange import ACCOUNT, held
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.states import OperationState

pytestmark = pytest.mark.requirement("G-23")

FEW = POLICY.model_copy(update={"max_open_plans_per_caller": 3, "max_open_plans": 5})
SYMBOLS = [f"S{number}" for number in range(1, 10)]


def many() -> list[object]:
    return [held(symbol, 1, number=number) for number, symbol in enumerate(SYMBOLS, 1)]


def waiting(it: Desk) -> dict[str, int]:
    return dict(it.store.open_plans(it.parts.mode, it.clock.now()))


async def test_a_caller_has_a_bounded_number_of_open_plans_and_is_told_what_to_do(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=FEW, positions=many()) as it:
        for symbol in SYMBOLS[:3]:
            await it.plan(symbol)
        with pytest.raises(Refused, match="3 plans of this caller wait for a decision") as refused:
            await it.plan(SYMBOLS[3])
        assert "list_operations" in refused.value.hint
        assert waiting(it) == {CALLER: 3}
        assert it.exchange.requests == []


async def test_another_caller_still_plans_up_to_what_all_may_have(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=FEW, positions=many()) as it:
        for symbol in SYMBOLS[:3]:
            await it.plan(symbol)
        await it.plan(SYMBOLS[3], caller="another")
        await it.plan(SYMBOLS[4], caller="another")
        with pytest.raises(Refused, match="5 plans of all callers"):
            await it.plan(SYMBOLS[5], caller="a third")
        assert waiting(it) == {CALLER: 3, "another": 2}


async def test_a_plan_that_is_found_again_or_replaced_needs_no_room(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=FEW, positions=many()) as it:
        first = await it.plan(SYMBOLS[0])
        for symbol in SYMBOLS[1:3]:
            await it.plan(symbol)
        assert (await it.plan(SYMBOLS[0])).operation == first.operation
        it.exchange.change(1, quantity=held("S1", 2, number=1).quantity)
        assert (await it.plan(SYMBOLS[0])).operation != first.operation
        assert waiting(it) == {CALLER: 3}


@pytest.mark.parametrize("ending", ["expired", "sent", "declined", "refused"])
async def test_a_plan_that_is_over_gives_its_room_back(tmp_path: Path, ending: str) -> None:
    async with desk(tmp_path, policy=FEW, positions=many()) as it:
        operation = await it.asked(SYMBOLS[0])
        for symbol in SYMBOLS[1:3]:
            await it.plan(symbol)
        match ending:
            case "expired":
                it.clock.advance(timedelta(minutes=5))
            case "sent":
                await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
            case "declined":
                await it.supervisor.reject(operation.operation_id, by="desk")
            case _:
                await it.guard.refuse(operation, "not today")
        await it.plan(SYMBOLS[3])


async def test_calls_at_once_cannot_pass_the_limit_together(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=FEW, positions=many()) as it:
        refused: list[str] = []

        async def plan(symbol: str) -> None:
            try:
                await it.plan(symbol)
            except Refused as error:
                refused.append(error.message)

        async with anyio.create_task_group() as calls:
            for symbol in SYMBOLS:
                calls.start_soon(plan, symbol)
        assert waiting(it) == {CALLER: 3}
        assert len(refused) == len(SYMBOLS) - 3


async def test_a_person_flattens_however_many_plans_wait(tmp_path: Path) -> None:
    full = POLICY.model_copy(update={"max_open_plans_per_caller": 1, "max_open_plans": 1})
    async with desk(tmp_path, policy=full, positions=many()) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.plan(SYMBOLS[0])
        flattening = await it.supervisor.plan_flatten(ACCOUNT, None, by="root")
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
        assert report.state is OperationState.SUBMITTED
