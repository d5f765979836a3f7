"""The days of New York are those of the whole library, of which only this exchange's own part is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import pytest

from positions_mcp.domain.account.sessions import minute, moment

OURS = """
import json, sys
from datetime import date, timedelta
from positions_mcp import market_calendar
{before}
calendar, days = market_calendar.NewYorkCalendar(), [date(2024, 1, 1) + timedelta(days=n) for n in range(2557)]
sessions = [calendar.session_on(day) for day in days]
closed = [day.isoformat() for day, each in zip(days, sessions) if each is None and day.weekday() < 5]
early = [each.day.isoformat() for each in sessions if each and each.early_close]
print(json.dumps([closed, early, any(name.startswith("holidays.countries.") for name in sys.modules)]))
"""
LIBRARYS = """
import holidays, json
def of(category):
    found = holidays.financial_holidays("NYSE", years=range(2024, 2031), categories=(category,))
    return sorted(day.isoformat() for day in found if day.weekday() < 5 and "2024" <= day.isoformat() < "2031")
print(json.dumps([of("public"), of("half_day")]))
"""
REFUSES = """
def refuse():
    raise AttributeError("arranged otherwise")
market_calendar._not_needed = refuse
"""


def printed(code: str) -> list[object]:
    found: list[object] = json.loads(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    )
    return found


@pytest.mark.parametrize(("before", "imports_all"), [("", False), (REFUSES, True)])
def test_seven_years_are_the_librarys_own_also_where_it_has_to_be_imported_whole(
    before: str, imports_all: bool
) -> None:
    closed, early, countries = printed(OURS.format(before=before))
    assert [closed, early] == printed(LIBRARYS)
    assert countries is imports_all
    assert isinstance(closed, list)
    assert len(closed) > 60


@pytest.mark.parametrize(
    ("instant", "said"),
    [
        ("2026-11-01T04:59:00+00:00", "2026-11-01 00:59 New York"),
        ("2026-11-01T05:30:00+00:00", "2026-11-01 01:30 New York (EDT)"),
        ("2026-11-01T06:30:00+00:00", "2026-11-01 01:30 New York (EST)"),
        ("2026-11-01T07:00:00+00:00", "2026-11-01 02:00 New York"),
        ("2026-03-08T06:59:00+00:00", "2026-03-08 01:59 New York"),
        ("2026-03-08T07:00:00+00:00", "2026-03-08 03:00 New York"),
    ],
)
def test_of_the_hour_that_clocks_show_twice_it_is_said_which_one_it_is(instant: str, said: str) -> None:
    at = datetime.fromisoformat(instant)
    assert minute(at) == said
    assert moment(at) == said.replace(" New", ":00 New")
