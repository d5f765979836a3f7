"""The closing price of a position: today's from the close on, and the one by which the evening books."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from paper.support import POSITIONS, Opening, SettableClock, by_symbol, http
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import PaperExchange, ScenarioError
from positions_mcp.paper.happenings import happen

BOOK = """
title = "An evening"
cash = 1_000_000
[[underlyings]]
symbol = "F"
price = 12
[[underlyings]]
symbol = "SPX"
price = 6000
index = true
[[option_roots]]
root = "SPX"
over = "SPX"
settles = "open"
[[option_roots]]
root = "SPXW"
over = "SPX"
[[option_roots]]
root = "1SPX"
over = "SPX"
style = "american"
[[positions]]
symbol = "F"
quantity = 100
average_price = 10
[[positions]]
symbol = "SPXW friday 5900 call"
quantity = 1
average_price = 90
[[positions]]
symbol = "1SPX friday 5900 call"
quantity = 2
average_price = 90
[[positions]]
symbol = "4SPX friday 5900 put"
quantity = 2
average_price = 90
[[positions]]
symbol = "SPX friday 5900 call"
quantity = 2
average_price = 90
[[behaviour]]
symbol = "1SPX friday 5900 call"
fills = 0.5
"""
CALL, FLEX, AT_OPEN = "SPXW261127C05900000", "1SPX261127C05900000", "SPX261127C05900000"


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=NEW_YORK)


@pytest.fixture
def exchange(opened: Opening, tmp_path: Path) -> PaperExchange:
    (tmp_path / "own.toml").write_text(BOOK)
    return opened(str(tmp_path / "own.toml"))


@pytest.mark.requirement("P-01")
@pytest.mark.parametrize(
    ("now", "days"),
    [
        (at(23, 9), (20, 19)),
        (at(23, 15, 59, 59), (20, 20)),
        (at(23, 16), (23, 20)),
        (at(23, 21), (23, 20)),
        (at(24, 9, 29, 59), (23, 20)),
        (at(24, 9, 30), (23, 23)),
        (at(26, 12), (25, 24)),  # Thanksgiving
        (at(27, 12, 59, 59), (25, 25)),
        (at(27, 13), (27, 25)),  # an early close
        (at(29, 12), (27, 25)),  # Sunday
    ],
)
async def test_a_closing_price_is_that_of_the_last_session_to_have_closed(
    opened: Opening, clock: SettableClock, tmp_path: Path, now: datetime, days: tuple[int, int]
):
    closed_on, profit_since = days
    (tmp_path / "own.toml").write_text(BOOK)
    clock.at = min(now, at(23, 9))
    exchange = opened(str(tmp_path / "own.toml"))
    clock.at = now
    async with http(exchange) as client:
        row = by_symbol(await client.get(POSITIONS))["F"]
        snapshot = (await client.get("/v1/market-data/snapshot", params={"instrument_ids": "F"})).json()["data"][0]
    assert row["closing_price_date"] == date(2026, 11, closed_on).isoformat()
    with exchange.reading() as moment:
        share, sessions = moment.ledger.instruments["F"], moment.market.session_on
        closes = {}
        for day in (closed_on, profit_since):
            session = sessions(date(2026, 11, day))
            assert session is not None
            closes[day] = moment.market.price(share, share, session.closes)
    assert Decimal(row["closing_price"]) == closes[closed_on]
    assert Decimal(snapshot["session"]["previous_close"]) == closes[profit_since]
    assert Decimal(snapshot["session"]["change"]) * 100 == Decimal(row["daily_unrealized_pnl"])
    if row["closing_price_date"] == snapshot["session"]["ohlv_date"]:
        assert row["closing_price"] == row["instrument_price"] == snapshot["last_trade"]["price"]
    else:
        assert row["closing_price"] == snapshot["session"]["previous_close"]


@pytest.mark.requirement("P-01")
async def test_the_evening_books_by_the_closing_price_that_was_shown(exchange: PaperExchange, clock: SettableClock):
    happen(exchange, {"what": "price", "symbol": "SPX", "price": "6010.50", "day": "2026-11-27"})
    clock.at = at(27, 13)
    async with http(exchange) as client:
        before = by_symbol(await client.get(POSITIONS))
        with exchange.reading() as moment:
            cash = moment.ledger.accounts[19816].cash
        clock.at = at(27, 18)
        after = by_symbol(await client.get(POSITIONS))
    assert set(after) == {"F"}
    assert (before[CALL]["closing_price"], before[CALL]["closing_price_date"]) == ("110.50", "2026-11-27")
    with exchange.reading() as moment:
        settled = sum((movement.cash for movement in moment.ledger.movements if movement.symbol == AT_OPEN), Decimal(0))
        assert moment.ledger.accounts[19816].cash - cash - settled == 3 * Decimal("110.50") * 100


@pytest.mark.requirement("P-01")
async def test_a_fill_just_before_the_close_and_the_close_are_of_one_path(
    exchange: PaperExchange, clock: SettableClock
):
    clock.at = at(23, 15, 59, 57)
    async with http(exchange) as client:
        placed = (await client.request("DELETE", f"{POSITIONS}/F", json={"cancel_orders": False})).json()["data"]
        clock.at += timedelta(seconds=2)
        shown = by_symbol(await client.get(POSITIONS))
        order = (await client.get(f"/v1/accounts/19816/orders/{placed[0]['id']}")).json()["data"]
    assert "F" not in shown
    with exchange.reading() as moment:
        share = moment.ledger.instruments["F"]
        assert Decimal(order["average_fill_price"]) == moment.market.price(share, share, at(23, 15, 59, 55))


@pytest.mark.requirement("P-01")
def test_a_scenario_says_what_options_of_a_root_are_also_flex_ones_and_those_that_misbehave(exchange: PaperExchange):
    with exchange.reading() as moment:
        found = moment.ledger.instruments
        said = {
            symbol: (option.underlying_symbol, option.european, option.settles_at_open)
            for symbol, option in found.items()
            if option.contract
        }
        assert found[FLEX].behaviour.fills == Decimal("0.5")
    assert said == {
        CALL: ("SPX", True, False),
        FLEX: ("SPX", False, False),
        "4SPX261127P05900000": ("SPX", True, False),
        AT_OPEN: ("SPX", True, True),
    }


@pytest.mark.requirement("P-01")
@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('[[option_roots]]\nroot = "RUTW"\nover = "RUT"', "'RUTW' is over 'RUT', which has no"),
        ('[[option_roots]]\nroot = "SPX"\nover = "SPX"', "option_roots: 'SPX' is there twice"),
        ('[[underlyings]]\nsymbol = "F"\nprice = 13', "underlyings: 'F' is there twice"),
        ('[[option_roots]]\nroot = "12SPX"\nover = "SPX"', "'12SPX' is no option root"),
        ('[[option_roots]]\nroot = "TOOLONG"\nover = "SPX"', "'TOOLONG' is no option root"),
    ],
)
def test_a_root_that_makes_no_sense_is_named(opened: Opening, tmp_path: Path, more: str, complaint: str):
    (tmp_path / "own.toml").write_text(f"{BOOK}\n{more}\n")
    with pytest.raises(ScenarioError, match=complaint):
        opened(str(tmp_path / "own.toml"))
