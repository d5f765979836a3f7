"""The demo trades in a session that lies ahead, whenever somebody runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from positions_mcp.cli.demo.story import trading_hours
from positions_mcp.market_calendar import NewYorkCalendar

SOON = timedelta(minutes=9)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(datetime(2026, 11, 24, tzinfo=UTC), id="Thanksgiving and an early close"),
        pytest.param(datetime(2026, 12, 23, tzinfo=UTC), id="Christmas"),
        pytest.param(datetime(2026, 10, 30, tzinfo=UTC), id="the end of summer time"),
    ],
)
def test_the_demo_begins_while_the_market_is_open_and_never_goes_back_in_time(first: datetime) -> None:
    calendar = NewYorkCalendar()
    for minutes in range(0, 6 * 24 * 60, 5):
        now = first + timedelta(minutes=minutes)
        begins = datetime.fromisoformat(trading_hours(now))
        assert begins > now + SOON
        assert calendar.state_at(begins).is_open
        assert calendar.state_at(begins + timedelta(hours=1)).is_open
