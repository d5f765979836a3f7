"""`close_all_positions` through an MCP client: one request for the whole account, compared with the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tools.serving import data_of, error_of, text_of
from trading import Floor, Person, trading_floor, yes

WIDE = """
title = "Wide"
cash = 0
[generate]
seed = "wide"
positions = 120
underlyings = 60
options = 0.5
"""
UNPRICED = "SPY261218P00580000"
"""A short option whose underlying is not held, so that its measure is not known."""


def without_what_cannot_be_measured(floor: Floor) -> None:
    with floor.exchange.reading() as moment:
        short = next(h.symbol for h in moment.ledger.holdings_of(19816) if h.symbol.replace(" ", "") == UNPRICED)
    floor.hold(short, 0)


@pytest.mark.requirement("G-01", "G-14")
async def test_everything_is_closed_in_one_request_after_one_question(era: str, tmp_path: Path) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor, floor.client(era, person) as client:
        without_what_cannot_be_measured(floor)
        planned = data_of(await client.call_tool("preview_close", {"all": True, "cancel_orders": True}))
        assert [row[0] for row in planned["rows"]] == ["BUY"] * 6 + ["SELL"] * 18
        sent = await client.call_tool("close_all_positions", {"plan_id": planned["plan_id"]})
        assert floor.effects == {"close_positions": 1}
        assert text_of(sent).startswith("PAPER account 19816: 24 submitted; 0 of 24 flat.")
        floor.later(minutes=5)
        followed = await client.call_tool("get_operation", {"operation_id": planned["plan_id"]})
        assert "23 of 24 flat" in text_of(followed)
        left = [row[:4] for row in data_of(followed)["rows"] if row[3] != "0"]
        assert left == [["NVDA261120P00160000", "SUBMITTED", "SELL 2", "1"]]  # an instruction claims it
        assert data_of(followed)["state"] == "PARTIAL"
    (question,) = person.questions
    assert "close EVERY position of the account, 24 as of now, in one request" in question
    assert "Open orders of the account are CANCELLED first" in question


@pytest.mark.requirement("G-03")
async def test_a_position_that_is_new_makes_closing_everything_stale(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        without_what_cannot_be_measured(floor)

        async def buy() -> None:
            floor.list_instrument("NEW")

        answer = await floor.call("close_all_positions", {}, era=era, person=Person(meanwhile=buy))
        assert data_of(answer)["state"] == "STALE"
        assert "NEW is new" in text_of(answer)
        assert floor.effects == {}


@pytest.mark.requirement("G-05")
async def test_an_order_missing_from_the_answer_is_an_unknown_outcome(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        without_what_cannot_be_measured(floor)
        floor.exchange.arm("missing_order", "close_positions")
        answer = await floor.call("close_all_positions", {}, era=era, person=yes())
        first = data_of(answer)["rows"][0]
        assert first[1] == "UNKNOWN"
        assert "named no order" in first[-1]


async def test_an_empty_account_has_nothing_to_close(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="empty") as floor:
        message = error_of(await floor.call("close_all_positions", {}, era=era, person=yes()))
        assert "holds nothing" in message
        assert "Nothing was sent" in message


@pytest.mark.requirement("G-10", "T-02")
async def test_what_is_refused_says_too_what_the_close_would_leave_out(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, trading={"allow_close_all": False}) as floor:
        floor.exchange.clock.set(datetime(2026, 11, 20, 21, 5, tzinfo=UTC))
        without_what_cannot_be_measured(floor)
        message = error_of(await floor.call("close_all_positions", {}, era=era, person=yes()))
        assert "Closing a whole account is not allowed. Were it sent: " in message
        assert "is left out: its last trade was on 2026-11-20 at 16:00 New York" in message
        assert "Nothing was sent" in message
        assert floor.effects == {}


@pytest.mark.requirement("T-03")
async def test_the_preview_of_a_large_plan_shows_the_largest_orders_and_says_how_many_it_leaves_out(
    tmp_path: Path,
) -> None:
    scenario = tmp_path / "wide.toml"
    scenario.write_text(WIDE)
    async with trading_floor(tmp_path, scenario=str(scenario)) as floor:
        answer = await floor.call("preview_close", {"all": True})
        planned = data_of(answer)
        assert len(planned["rows"]) == 50
        assert planned["rows_left_out"] == 70
        assert "70 smaller orders are not shown here" in text_of(answer)
        assert len(text_of(answer)) < 8_000
        sizes = [abs(Decimal(row[-1])) for row in planned["rows"] if row[2].isalpha()]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.requirement("G-14", "T-03")
async def test_a_large_operation_is_told_in_its_gravest_rows_and_counts_all(tmp_path: Path) -> None:
    scenario = tmp_path / "wide.toml"
    scenario.write_text(WIDE)
    async with trading_floor(tmp_path, scenario=str(scenario)) as floor:
        planned = data_of(await floor.call("preview_close", {"all": True}))
        answer = await floor.call("get_operation", {"operation_id": planned["plan_id"]})
        assert len(data_of(answer)["rows"]) == 50
        assert data_of(answer)["rows_left_out"] == 70
        shown = f"a person sees all with `positions-mcp operations show {planned['plan_id']}`"
        assert f"70 more rows, none graver than these: {shown}" in text_of(answer)
