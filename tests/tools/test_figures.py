"""Figures that need no arithmetic: percent, cost, the day's profit and loss and what it counts, order and filters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tools.serving import StubBroker, call, data_of, error_of, held, server_over, text_of

STOCK = "a1a2a3a4-b1b2-c1c2-d1d2-000000000001"


def book() -> StubBroker:
    """A winner, a loser that was closed in part today, a short, a call, and one of which nothing is known."""
    return StubBroker(
        positions=[
            held(
                "AAPL",
                number=1,
                market_value="11000.00",
                cost_basis="10000.00",
                unrealized_pnl="1000.00",
                unrealized_pnl_pct="10.0000",
                daily_unrealized_pnl="100.00",
                daily_realized_pnl="0.00",
            ),
            held(
                "KO",
                number=2,
                market_value="1500.00",
                cost_basis="2000.00",
                unrealized_pnl="-500.00",
                unrealized_pnl_pct="-25.0000",
                daily_unrealized_pnl="-50.00",
                daily_realized_pnl="-70.25",
            ),
            held(
                "TSLA",
                "-10",
                number=3,
                market_value="-3300.00",
                cost_basis="-3000.00",
                unrealized_pnl="-300.00",
                unrealized_pnl_pct="-10.0000",
                daily_unrealized_pnl="-60.00",
                daily_realized_pnl="0.00",
            ),
            held("AAPL261218C00240000", "2", number=4, avg_price="4.25", underlying_instrument_id=STOCK),
            held("XOM", number=5),
        ]
    )


async def listed(broker: StubBroker, era: str, **given: Any) -> dict[str, Any]:
    return data_of(await call(server_over(broker), "list_positions", given, era=era))


def column(data: dict[str, Any], name: str) -> dict[str, str]:
    return {row[0]: row[data["columns"].index(name)] for row in data["rows"]}


async def test_totals_and_groups_say_cost_and_percent_of_absolute_cost(era: str) -> None:
    data = await listed(book(), era)
    assert data["totals"]["cost_basis"] == "9000.00"
    assert (data["totals"]["gross_cost"], data["totals"]["unrealized_pnl_pct"]) == ("15000.00", "1.33")
    assert data["missing"]["cost_basis"] == 2
    summary = data_of(await call(server_over(book()), "summarize_positions", era=era))
    groups = {row[0]: dict(zip(summary["group_columns"], row, strict=True)) for row in summary["groups"]}
    assert (groups["KO"]["cost_basis"], groups["KO"]["unrealized_pnl_pct"]) == ("2000.00", "-25.00")
    assert groups["XOM"]["unrealized_pnl_pct"] == "missing"


@pytest.mark.parametrize(
    ("given", "symbols"),
    [
        ({"max_pnl_pct": -10}, ["TSLA", "KO"]),
        ({"max_pnl_pct": -10.5}, ["KO"]),
        ({"min_pnl_pct": 10}, ["AAPL"]),
        ({"min_pnl_pct": "-10", "max_pnl_pct": "9.99"}, ["TSLA"]),
        ({"min_pnl_pct": 11}, []),
    ],
)
async def test_percent_chooses_rows_and_what_has_none_is_said_to_be_left_out(
    era: str, given: dict[str, Any], symbols: list[str]
) -> None:
    data = await listed(book(), era, **given)
    assert [row[0] for row in data["rows"]] == symbols
    assert data["warnings"] == ["unrealized P&L % of 2 positions is not known; left out"]


@pytest.mark.parametrize("given", ["ten", "1e3", "nan", True, [1]])
async def test_a_percent_that_is_no_number_is_an_error_before_any_request(era: str, given: Any) -> None:
    broker = book()
    assert "It takes a number" in error_of(await call(server_over(broker), "list_positions", {"min_pnl_pct": given}))
    assert broker.requests == 0


@pytest.mark.parametrize(
    ("key", "direction", "symbols"),
    [
        ("UNREALIZED_PNL_PCT", "DESC", ["AAPL", "TSLA", "KO"]),
        ("unrealized_pnl_pct", "ASC", ["KO", "TSLA", "AAPL"]),
        ("day_pnl", "ASC", ["KO", "TSLA", "AAPL"]),
        ("day_unrealized_pnl", "ASC", ["TSLA", "KO", "AAPL"]),
    ],
)
async def test_rows_are_sorted_by_percent_and_by_the_whole_day(
    era: str, key: str, direction: str, symbols: list[str]
) -> None:
    data = await listed(book(), era, sort_by=key, sort_direction=direction)
    assert [row[0] for row in data["rows"]][:3] == symbols


async def test_the_day_counts_what_is_realized_and_says_so_with_its_day(era: str) -> None:
    answer = await call(server_over(book()), "list_positions", era=era)
    data = data_of(answer)
    assert column(data, "day_pnl")["KO"] == "-120.25"
    assert column(data, "day_realized_pnl")["KO"] == "-70.25"
    assert data["totals"]["day_pnl"] == "-80.25"
    assert data["today"] == {
        "date": "2026-11-20",
        "unrealized": "-10.00",
        "realized": "-70.25",
        "realized_not_given_of": "2",
    }
    assert "Day P&L, 2026-11-20: unrealized -10.00 + realized -70.25 (not given for 2)." in text_of(answer)
    summary = await call(server_over(book()), "summarize_positions", era=era)
    assert data_of(summary)["realized_today"] == [["KO", "-70.25"]]
    assert data_of(summary)["losers_today"][0] == ["KO", "-120.25"]
    assert "Realized today, of what is still listed: KO -70.25." in text_of(summary)


async def test_a_position_closed_altogether_counts_what_it_realized(era: str) -> None:
    broker = StubBroker(positions=[held("KO", "0", daily_realized_pnl="12.00", market_value="0")])
    data = await listed(broker, era)
    assert column(data, "day_pnl") == {"KO": "12.00"}
    assert data["totals"]["day_pnl"] == "12.00"


async def test_where_nothing_realized_is_given_it_is_said_that_the_day_counts_none(era: str) -> None:
    broker = StubBroker(positions=[held("KO", daily_unrealized_pnl="5.00")])
    said = text_of(await call(server_over(broker), "list_positions", era=era))
    assert "Day P&L, 2026-11-20: unrealized only; positions give no realized part." in said


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 22, 17, tzinfo=UTC), "2026-11-20"),  # a Sunday
        (datetime(2026, 11, 26, 17, tzinfo=UTC), "2026-11-25"),  # Thanksgiving
        (datetime(2026, 11, 27, 12, tzinfo=UTC), "2026-11-25"),  # the morning after, before the opening
        (datetime(2026, 11, 27, 23, tzinfo=UTC), "2026-11-27"),  # that evening, after an early close
    ],
)
async def test_on_a_day_without_a_session_it_is_said_whose_day_is_shown(era: str, at: datetime, day: str) -> None:
    broker = book()
    broker.clock.at = at
    for tool in ("list_positions", "summarize_positions"):
        answer = await call(server_over(broker), tool, era=era)
        assert data_of(answer)["today"]["date"] == day
        said = f"Day P&L is of {day}, the last session" if day != "2026-11-27" else "Day P&L, 2026-11-27:"
        assert said in text_of(answer)


async def test_a_full_row_has_an_options_break_even_and_its_underlyings_share_of_the_account(era: str) -> None:
    positions = [
        held("AAPL", number=1, market_value="750"),
        held(
            "AAPL261218C00240000", "2", number=4, avg_price="4.25", market_value="250", underlying_instrument_id=STOCK
        ),
        held("AAPL261218P00240000", "-2", number=5, avg_price="4.25", underlying_instrument_id=STOCK),
        held("AAPL1261218P00240000", "2", number=6, avg_price="4.25", underlying_instrument_id=STOCK),
        held("SPY261218P00600000", "2", number=7),
        held("KO", number=2, market_value="-1000"),
    ]
    data = await listed(StubBroker(positions=positions), era, detail="full")
    assert column(data, "break_even") == {
        "AAPL": "",
        "AAPL261218C00240000": "244.25",
        "AAPL261218P00240000": "235.75",
        "AAPL1261218P00240000": "",
        "SPY261218P00600000": "missing",
        "KO": "",
    }
    shares = column(data, "underlying_pct")
    assert shares["AAPL261218C00240000"] == shares["AAPL"] == shares["AAPL1261218P00240000"] == "50.00"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["AAPL", "TSLA", "KO", "XOM"]),
        ({"sort_by": "value"}, ["AAPL", "TSLA", "KO", "XOM"]),
        ({"sort_by": "day_pnl"}, ["AAPL", "TSLA", "KO", "XOM"]),
        ({"sort_by": "day_pnl", "sort_direction": "ASC"}, ["KO", "TSLA", "AAPL", "XOM"]),
        ({"sort_by": "unrealized_pnl", "sort_direction": "ASC"}, ["KO", "TSLA", "AAPL", "XOM"]),
        ({"sort_by": "unrealized_pnl"}, ["AAPL", "TSLA", "KO", "XOM"]),
    ],
)
async def test_groups_are_in_the_order_that_is_asked_for(era: str, given: dict[str, Any], names: list[str]) -> None:
    data = data_of(await call(server_over(book()), "summarize_positions", given, era=era))
    assert [row[0] for row in data["groups"]] == names


@pytest.mark.parametrize(
    ("top", "names"),
    [
        (1, ["S0", "S7", "(6 more)"]),
        (3, ["S0", "S1", "S2", "S7", "(4 more)"]),
        (None, ["S0", "S1", "S2", "S3", "S7", "(3 more)"]),
        (8, [f"S{number}" for number in range(8)]),
    ],
)
async def test_the_group_that_lost_most_today_is_never_among_those_left_out(
    era: str, top: int | None, names: list[str]
) -> None:
    losses = {7: "-900", 2: "-5"}
    positions = [
        held(f"S{n}", number=n, market_value=str(1000 - n), daily_unrealized_pnl=losses.get(n, "1")) for n in range(8)
    ]
    given = {} if top is None else {"top": top}
    data = data_of(await call(server_over(StubBroker(positions=positions)), "summarize_positions", given, era=era))
    assert [row[0] for row in data["groups"]] == names
    assert [len(data[name]) for name in ("largest", "winners_today", "losers_today")] == [3, 3, 2]


async def test_what_has_no_price_is_missing_in_every_tool(era: str) -> None:
    halted = held("GME", "5", number=8, market_value="0.00", instrument_type="COMMON_STOCK", available_quantity="5")
    server = server_over(StubBroker(positions=[halted]))
    assert column(data_of(await call(server, "list_positions", era=era)), "market_value") == {"GME": "missing"}
    assert "net" not in data_of(await call(server, "summarize_positions", era=era))["totals"]
    (row,) = data_of(await call(server, "preview_close", {"instruments": ["GME"]}, era=era))["rows"]
    assert row[-1] == "missing"
