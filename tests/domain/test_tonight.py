"""Short options in plain words on their last day: what an assignment does, and the cash of the evening."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.books import POSITIONS, identifier
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.exercise.facts import LatestPrice, PriceSource
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.tonight import Tonight, assignment_said, is_settled_at_opening, untouched
from positions_mcp.domain.portfolio.select import expiring
from positions_mcp.market_calendar import NewYorkCalendar

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=NEW_YORK)
CALENDAR = NewYorkCalendar()


def option(
    symbol: str, quantity: str, price: str | None = None, *, at: datetime = NOON, kind: str | None = None
) -> ProjectedOption:
    """An option that expires on 27 November 2026, an early close, with its underlying at `price`."""
    row = {"account_id": 19816, "instrument_id": identifier(2), "symbol": symbol, "quantity": quantity}
    held = POSITIONS.validate_python(row | {"underlying_instrument_type": kind})
    (found,) = expiring([held], [])
    quoted = LatestPrice(Decimal(price), at.astimezone(UTC), PriceSource.LAST_TRADE) if price else None
    nothing = Outstanding((), now=at, calendar=CALENDAR)
    return untouched(found, nothing, now=at, read_at=at, calendar=CALENDAR, quoted=quoted)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (
            option("AAPL261127C00230000", "-2", "231.40"),
            "short 2 AAPL 230C: in the money by 1.40, expect assignment: sells 200 AAPL for 46,000",
        ),
        (
            option("AAPL261127P00230000", "-1", "210"),
            "short 1 AAPL 230P: in the money by 20, expect assignment: buys 100 AAPL for 23,000",
        ),
        (
            option("AAPL261127C00230000", "-1", "230.01"),
            "short 1 AAPL 230C: in the money by 0.01, expect assignment (too near to call): sells 100 AAPL for 23,000",
        ),
        (
            option("AAPL261127C00230000", "-1", "230"),
            "short 1 AAPL 230C: out of the money by 0, too near to call; assigned, it sells 100 AAPL for 23,000",
        ),
        (option("AAPL261127C00230000", "-1", "220"), ""),
        (option("AAPL261127C00230000", "2", "300"), ""),
        (
            option("AAPL261127P00230000", "-1"),
            "short 1 AAPL 230P: assignment not known (no price); assigned, it buys 100 AAPL for 23,000",
        ),
        (
            option("AAPL261127C00230000", "-1", "300", at=NOON.replace(hour=14)),
            "short 1 AAPL 230C: assignment not known (close not known); assigned, it sells 100 AAPL for 23,000",
        ),
        (
            option("SPXW261127C06000000", "-1", "6012.5", kind="INDEX"),
            "short 1 SPXW 6000C: in the money by 12.5, expect assignment: pays 1,250 in cash",
        ),
        (
            option("SPX261127C06000000", "-1", "6100", kind="INDEX"),
            "short 1 SPX 6000C: assignment not known (opening settlement)",
        ),
        (
            option("BABA2261127C00100000", "-1", "300"),
            "short 1 BABA2 100C: adjusted contract, so what an assignment delivers is not known",
        ),
        (
            option("BRKB261127P00500000", "-3", "400"),
            "short 3 BRKB 500P: in the money by 100, expect assignment: buys 300 BRKB for 150,000",
        ),
    ],
    ids=lambda value: "" if isinstance(value, ProjectedOption) else value[:40] or "nothing",
)
def test_a_short_option_says_what_an_assignment_does(held: ProjectedOption, said: str) -> None:
    assert assignment_said(held) == said


SHORT_PUT = option("AAPL261127P00230000", "-1", "210")


@pytest.mark.parametrize(
    ("options", "power", "unread", "said"),
    [
        ([SHORT_PUT], "30000", 0, "cash needed 23,000, within the buying power of 30,000"),
        ([SHORT_PUT], "20000", 0, "cash needed 23,000, 3,000 more than the buying power of 20,000"),
        ([SHORT_PUT], None, 0, "cash needed 23,000; buying power not known"),
        ([SHORT_PUT], "30000", 2, "cash needed 23,000, 2 not known, within the buying power of"),
        ([option("AAPL261127C00230000", "-2", "240")], "1", 0, "cash 46,000"),
        ([option("AAPL261127C00230000", "2", "240")], "100000", 0, "cash needed 46,000, within the buying power"),
        ([option("BABA2261127C00100000", "-1", "300")], "5", 0, "cash not known"),
        ([option("AAPL261127C00230000", "2", "229.9")], "5", 0, "cash 0, 1 too near to call"),
        ([option("AAPL261127P00230000", "-1", "230.1"), SHORT_PUT], None, 0, "cash needed 23,000, 1 too near to call;"),
        ([option("AAPL261127C00230000", "2", "100")], "5", 0, "1 option expires and nothing moves"),
    ],
)
def test_the_evening_says_its_cash_against_buying_power(
    options: list[ProjectedOption], power: str | None, unread: int, said: str
) -> None:
    buying_power = None if power is None else Decimal(power)
    assert Tonight(NOON.date(), options, buying_power, unread).lines[-1].startswith(said)


def test_of_many_assignments_only_how_many_is_said() -> None:
    assert len(Tonight(NOON.date(), [SHORT_PUT] * 4, None).lines) == 5
    lines = Tonight(NOON.date(), [SHORT_PUT] * 7, None).lines
    assert lines[0] == "7 short options may be assigned: project_expiration"
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("root", "now", "settled"),
    [("SPX", "09:29", False), ("SPX", "09:30", True), ("SPX", "16:30", True), ("SPXW", "12:00", False)],
)
def test_an_option_that_the_opening_settles_is_decided_from_then_on(root: str, now: str, *, settled: bool) -> None:
    row = {"account_id": 19816, "instrument_id": identifier(2), "symbol": f"{root}261120C06000000", "quantity": "1"}
    (found,) = expiring([POSITIONS.validate_python(row)], [])
    at = datetime.fromisoformat(f"2026-11-20T{now}:00").replace(tzinfo=NEW_YORK)
    assert is_settled_at_opening(found, at, CALENDAR) is settled
