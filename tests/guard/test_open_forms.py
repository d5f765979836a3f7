"""A form that ends with its server keeps no other from asking once that has said nothing for half a minute (G-22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from guard.desk import CALLER, FORM, Desk, desk
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.servers import ALIVE_FOR
from positions_mcp.domain.operation.states import Stage
from positions_mcp.guard.guard import Guard

pytestmark = pytest.mark.requirement("G-22")
SHARED = FORM._replace(ends_with_server=False)
SECOND = timedelta(seconds=1)


async def asks(it: Desk, guard: Guard, symbol: str) -> bool:
    """Whether a server may ask about a plan by a form of its own, and does."""
    planned = await guard.plan(it.request(symbol), caller=CALLER)
    try:
        return (await guard.ask(planned.operation, FORM)).stage is Stage.AWAITING_APPROVAL
    except Refused as refused:
        return "is still open with a person" not in refused.message


async def test_of_a_server_that_is_silent_the_next_one_asks_and_it_may_not_when_it_comes_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as it, Guard(replace(it.parts, process="other:2:boot")) as other:
        assert await asks(it, it.guard, "AAPL")
        assert not await asks(it, other, "MSFT")
        it.clock.advance(ALIVE_FOR + SECOND)
        assert await asks(it, other, "MSFT")
        assert not await asks(it, it.guard, "TSLA")


async def test_a_form_whose_answer_any_server_takes_is_open_until_it_comes_back_or_its_plan_is_over(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it, Guard(replace(it.parts, process="other:2:boot")) as other:
        planned = await it.guard.plan(it.request("AAPL"), caller=CALLER)
        await it.guard.ask(planned.operation, SHARED)
        it.clock.advance(ALIVE_FOR + SECOND)
        assert not await asks(it, other, "MSFT")
        await it.guard.note_unanswered(planned.operation, "dismissed", client="x")
        assert await asks(it, other, "MSFT")
