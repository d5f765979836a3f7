"""The evening of an expiry day: what is exercised, assigned, or ends worthless, and what it does to shares and cash."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from paper.test_instructions import AMD_CALL, APPLE_CALL, NVIDIA_PUT, row, submit
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import PaperExchange

EVENING = datetime(2026, 11, 23, 18, 0, tzinfo=NEW_YORK)


def holdings(exchange: PaperExchange) -> dict[str, Decimal]:
    with exchange.reading() as moment:
        return {key[1]: holding.quantity for key, holding in moment.ledger.holdings.items()}


def cash(exchange: PaperExchange) -> Decimal:
    with exchange.reading() as moment:
        return moment.ledger.accounts[19816].cash


def test_until_the_evening_nothing_expires_and_then_everything_does(opened: Opening):
    exchange = opened("expiry")
    exchange.clock.set(EVENING - timedelta(microseconds=1))
    assert len(holdings(exchange)) == 8
    exchange.clock.set(EVENING)
    assert not [symbol for symbol in holdings(exchange) if len(symbol) > 5]


def test_exercise_by_exception_assignment_and_worthless_expiry_move_shares_and_cash_at_the_strike(opened: Opening):
    exchange = opened("expiry")
    before = cash(exchange)
    exchange.clock.set(EVENING)
    held = holdings(exchange)
    assert held["AAPL"] == 100 + 500  # 5 calls in the money, nobody said otherwise
    assert held["NVDA"] == -300  # 4 puts, of which 1 is not to be exercised
    assert "TSLA" not in held  # 200 shares, and 2 short calls that were assigned
    assert held["MSFT"] == 400  # 6 calls, of which 2 are not to be exercised
    assert held["AMD"] == 50  # the calls were out of the money
    paid = -500 * Decimal(220) + 300 * Decimal(175) + 200 * Decimal(310) - 400 * Decimal(450)
    assert cash(exchange) - before == paid


def test_the_premium_becomes_part_of_the_shares_cost(opened: Opening):
    exchange = opened("expiry")
    exchange.clock.set(EVENING)
    with exchange.reading() as moment:
        microsoft = moment.ledger.holdings[19816, "MSFT"]
    assert microsoft.cost == 400 * Decimal(450) + 400 * Decimal("9.40")


async def test_instructions_decide_what_is_exercised(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        answer = await submit(
            client,
            row(APPLE_CALL, "DO_NOT_EXERCISE", "2"),
            row(AMD_CALL, "CONTRARY_EXERCISE", "4"),
            row(NVIDIA_PUT, "EXERCISE", "3"),
        )
        assert answer.status_code == 200
        exchange.clock.set(EVENING)
        rows = by_symbol(await client.get(POSITIONS))
        statuses = {found["status"] for found in (await client.get(INSTRUCTIONS)).json()["data"]}
    assert rows["AAPL"]["quantity"] == str(100 + 300)
    assert rows["AMD"]["quantity"] == str(50 + 400)
    assert rows["NVDA"]["quantity"] == "-300"
    assert statuses == {"ACCEPTED"}


async def test_a_cancelled_do_not_exercise_rearms_exercise_by_exception(opened: Opening):
    exchange = opened("expiry")
    async with http(exchange) as client:
        found = (await client.get(INSTRUCTIONS)).json()["data"]
        (target,) = (one["id"] for one in found if one["client_instruction_id"] == "morning-2")
        await client.delete(f"{INSTRUCTIONS}/{target}")
        exchange.clock.set(EVENING)
        assert by_symbol(await client.get(POSITIONS))["MSFT"]["quantity"] == "600"


async def test_an_early_exercise_is_delivered_the_same_evening(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    async with http(exchange) as client:
        assert (await submit(client, row("PLTR261211P00070000", quantity="2"))).status_code == 200
        clock.at = EVENING
        rows = by_symbol(await client.get(POSITIONS))
    assert rows["PLTR261211P00070000"]["quantity"] == "4"
    assert rows["PLTR"]["quantity"] == str(-150 - 200)


async def test_an_order_for_shares_that_assignment_took_away_is_cancelled(opened: Opening):
    exchange = opened("expiry")
    exchange.clock.set(EVENING - timedelta(hours=1))
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/TSLA")).json()["data"]
        assert order["status"] == "QUEUED"
        exchange.clock.set(EVENING)
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
        exchange.clock.advance(timedelta(days=1))
        assert "TSLA" not in by_symbol(await client.get(POSITIONS))
    assert (found["status"], found["filled_quantity"]) == ("CANCELED", "0")


def test_weeks_later_every_expiry_on_the_way_has_happened_on_its_own_evening(
    opened: Opening, clock: SettableClock, tmp_path: Path
):
    start = clock.at
    looked_once = opened("demo", data_dir=tmp_path / "once")
    looked_often = opened("demo", data_dir=tmp_path / "often")
    for _ in range(160):
        clock.advance(timedelta(hours=6))
        holdings(looked_often)
    assert clock.at == start + timedelta(days=40)
    assert holdings(looked_once) == holdings(looked_often)
    assert cash(looked_once) == cash(looked_often)
    assert not [symbol for symbol in holdings(looked_once) if len(symbol) > 5]


@pytest.mark.parametrize(("at", "left"), [((17, 29), 4), ((17, 30), 5), ((17, 59), 5)])
async def test_an_early_exercise_that_comes_after_the_cut_off_waits_for_the_next_evening(
    opened: Opening, tmp_path: Path, at: tuple[int, int], left: int
):
    scenario = tmp_path / "later.toml"
    scenario.write_text("""
        title = "An option of a later month"
        [[underlyings]]
        symbol = "AAPL"
        price = 231.40
        [[positions]]
        symbol = "AAPL month+1 200 call"
        quantity = 5
        average_price = 30
    """)
    exchange = opened(str(scenario))
    (option,) = holdings(exchange)
    exchange.clock.set(EVENING.replace(hour=at[0], minute=at[1]))
    async with http(exchange) as client:
        await submit(client, row(option))
    exchange.clock.set(EVENING)
    assert holdings(exchange)[option] == left
    exchange.clock.set(EVENING + timedelta(days=1))
    assert holdings(exchange)[option] == 4
