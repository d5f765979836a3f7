"""One clock a conversation: every time has its zone, and a paper clock that is set is said to be."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools.serving import StandingClock, StubBroker, context_over, data_of, text_of
from trading import Floor, trading_floor

KO = {"instruments": ["KO"]}
SATURDAY = datetime(2026, 11, 28, 15, 0, tzinfo=UTC)
TIME = re.compile(r"\b\d\d:\d\d(?::\d\d)?\b")


async def every_answer(floor: Floor, era: str) -> dict[str, str]:
    """What the tools that say a time answer."""
    said = {}
    async with floor.client(era) as client:
        plan = await client.call_tool("preview_close", KO)
        said["preview_close"] = text_of(plan)
        for tool, arguments in {
            "list_positions": {},
            "summarize_positions": {},
            "list_instructions": {},
            "get_trading_status": {},
            "list_operations": {},
            "get_operation": {"operation_id": data_of(plan)["plan_id"]},
        }.items():
            said[tool] = text_of(await client.call_tool(tool, arguments))
    return said


async def test_every_time_is_new_yorks_and_says_so(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        for tool, text in (await every_answer(floor, era)).items():
            assert "UTC" not in text, tool
            assert "paper clock" not in text, tool
            for time in TIME.finditer(text):
                rest = text[time.end() : time.end() + 24]
                assert "New York" in rest or rest.startswith("-16:00 New York"), (tool, time[0])


@pytest.mark.parametrize("running", [False, True])
async def test_a_paper_clock_that_is_set_is_said_and_everything_is_told_by_it(
    era: str, tmp_path: Path, running: bool
) -> None:
    async with trading_floor(tmp_path) as floor:
        floor.exchange.clock.set(SATURDAY, running=running)
        said = await every_answer(floor, era)
        assert "2026-11-28 10:05:00 New York" in said["preview_close"]
        for tool in set(said) - {"get_operation"}:
            assert "paper clock, which is set" in said[tool], tool
            assert "2026-11-20 10:" not in said[tool], tool


@pytest.mark.parametrize("later", [timedelta(0), timedelta(milliseconds=3), timedelta(milliseconds=400)])
def test_what_happened_while_a_paper_clock_stood_is_told_by_it_and_not_a_second_early(later: timedelta) -> None:
    """Between what happened and the answer that tells of it real time goes on, and the clock that is set does not."""
    real, shown = StandingClock(datetime(2026, 11, 30, 15, 12, 7, 250_000, tzinfo=UTC)), StandingClock(SATURDAY)
    context = replace(context_over(StubBroker()), clock=shown, real_time=real)
    happened = real.now()
    real.advance(later)
    assert context.on_market_clock(happened) == SATURDAY
    assert context.said(context.on_market_clock(happened)).startswith("2026-11-28 10:00:00 New York (the paper clock")
    same = replace(context, clock=real)
    assert same.on_market_clock(happened) == happened
