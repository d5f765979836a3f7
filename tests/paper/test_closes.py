"""Closing positions: the orders that come of it, what they lock, how they fill, and what is left."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from paper.support import MONDAY_MORNING, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.symbols import instrument_id_of

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=NEW_YORK)


def cash(exchange: PaperExchange) -> Decimal:
    with exchange.reading() as moment:
        return moment.ledger.accounts[19816].cash


async def test_a_close_answers_a_list_even_for_one_order(opened: Opening):
    async with http(opened("demo")) as client:
        answer = await delete(client, f"{POSITIONS}/{instrument_id_of('AAPL')}", cancel_orders=False)
    (order,) = answer.json()["data"]
    assert answer.json()["error"] is None
    assert {name: order[name] for name in ("symbol", "side", "quantity", "leaves_quantity", "filled_quantity")} == {
        "symbol": "AAPL",
        "side": "SELL",
        "quantity": "300",
        "leaves_quantity": "300",
        "filled_quantity": "0",
    }
    assert (order["order_type"], order["time_in_force"], order["status"]) == ("MARKET", "DAY", "PENDING_NEW")


async def test_an_order_goes_through_its_states_as_time_passes(opened: Opening, clock: SettableClock):
    async with http(opened("demo")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/AAPL")).json()["data"]
        seen = [(order["status"], order["filled_quantity"], order["leaves_quantity"])]
        for milliseconds in (300, 700, 1000):
            clock.advance(timedelta(milliseconds=milliseconds))
            found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
            seen.append((found["status"], found["filled_quantity"], found["leaves_quantity"]))
        assert "AAPL" not in by_symbol(await client.get(POSITIONS))
    assert seen == [
        ("PENDING_NEW", "0", "300"),
        ("NEW", "0", "300"),
        ("PARTIALLY_FILLED", "150", "150"),
        ("FILLED", "300", "0"),
    ]


async def test_a_sale_brings_its_price_in_cash_and_the_difference_to_its_cost_as_profit(
    opened: Opening, clock: SettableClock
):
    exchange = opened("demo")
    before = cash(exchange)
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/AAPL")).json()["data"]
        clock.advance(timedelta(seconds=2))
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    proceeds = 300 * Decimal(found["average_fill_price"])
    assert cash(exchange) - before == proceeds
    with exchange.reading() as moment:
        assert moment.ledger.accounts[19816].realized == proceeds - 300 * Decimal("172.35")


async def test_a_short_is_bought_back_and_an_option_moves_a_hundred_times_its_price(
    opened: Opening, clock: SettableClock
):
    exchange = opened("demo")
    before = cash(exchange)
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/NVDA261204C00155000")).json()["data"]
        assert (order["side"], order["quantity"]) == ("BUY", "5")
        assert order["underlying_instrument_id"] == instrument_id_of("NVDA")
        clock.advance(timedelta(seconds=2))
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    assert before - cash(exchange) == 500 * Decimal(found["average_fill_price"])


async def test_while_an_order_is_open_its_quantity_is_locked_and_a_second_close_is_refused(opened: Opening):
    exchange = opened("demo")
    async with http(exchange) as client:
        await delete(client, f"{POSITIONS}/AAPL")
        assert by_symbol(await client.get(POSITIONS))["AAPL"]["available_quantity"] == "0"
        again = await delete(client, f"{POSITIONS}/AAPL", cancel_orders=False)
    assert again.status_code == 400
    assert exchange.effect_counts() == {"close_position": 1}


async def test_without_cancel_orders_only_what_is_free_is_closed_and_with_it_everything(
    opened: Opening, clock: SettableClock
):
    async with http(opened("demo")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/MSFT", cancel_orders=False)).json()["data"]
        assert order["quantity"] == "60"
        (order,) = (await delete(client, f"{POSITIONS}/MSFT", cancel_orders=True)).json()["data"]
        assert order["quantity"] == "100"
        statuses = [row["status"] for row in (await client.get(ORDERS)).json()["data"]]
        assert sorted(statuses) == ["CANCELED", "CANCELED", "PENDING_NEW"]
        clock.advance(timedelta(seconds=2))
        assert "MSFT" not in by_symbol(await client.get(POSITIONS))


async def test_closing_the_account_makes_one_order_for_each_position_and_ends_flat(
    opened: Opening, clock: SettableClock
):
    exchange = opened("demo")
    async with http(exchange) as client:
        before = by_symbol(await client.get(POSITIONS))
        orders = (await delete(client, POSITIONS, cancel_orders=True)).json()["data"]
        assert {order["symbol"].replace(" ", "") for order in orders} == set(before)
        clock.advance(timedelta(seconds=2))
        left = by_symbol(await client.get(POSITIONS))
        instructed = {"NVDA261123P00160000": "1"}
        assert {symbol: row["quantity"] for symbol, row in left.items()} == instructed
    assert exchange.effect_counts() == {"close_positions": 1}
    assert len(exchange.effects()[0].made) == 25


async def test_closing_an_empty_account_answers_an_empty_list_and_has_no_effect(opened: Opening):
    exchange = opened("empty")
    async with http(exchange) as client:
        answer = await delete(client, POSITIONS, cancel_orders=True)
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert exchange.effect_counts() == {}


async def test_a_position_that_is_not_held_is_not_found(opened: Opening):
    async with http(opened("empty")) as client:
        assert (await delete(client, f"{POSITIONS}/{instrument_id_of('AAPL')}")).status_code == 404


@pytest.mark.parametrize(("contract", "status"), [("seed", "PENDING_NEW"), ("current", "QUEUED")])
async def test_out_of_hours_an_order_waits_for_the_session_and_fills_in_it(
    opened: Opening, clock: SettableClock, contract: str, status: str
):
    clock.at = SATURDAY
    async with http(opened("demo", contract=contract)) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        assert (order["status"], order["queue_state"]) == (status, "AWAITING_RELEASE")
        assert order["releases_at"] == "2026-11-23T14:30:00.000000000Z"
        clock.at = datetime(2026, 11, 23, 9, 30, 0, 100_000, tzinfo=NEW_YORK)
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
        assert (found["status"], found["queue_state"]) == ("PENDING_NEW", "RELEASED")
        clock.at = datetime(2026, 11, 23, 9, 31, tzinfo=NEW_YORK)
        assert (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]["status"] == "FILLED"


async def test_an_order_cancelled_while_it_waits_was_never_released(opened: Opening, clock: SettableClock):
    clock.at = SATURDAY
    async with http(opened("demo")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        await delete(client, f"{POSITIONS}/KO", cancel_orders=True)
        clock.at = MONDAY_MORNING
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    assert (found["status"], found["queue_state"]) == ("CANCELED", None)
    assert found["releases_at"] == order["releases_at"]


async def test_an_order_sent_before_a_holiday_is_released_after_it_even_on_an_early_close(
    opened: Opening, clock: SettableClock
):
    clock.at = datetime(2026, 11, 25, 17, 0, tzinfo=NEW_YORK)
    async with http(opened("demo")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        assert order["releases_at"] == "2026-11-27T14:30:00.000000000Z"
        clock.at = datetime(2026, 11, 27, 13, 0, 1, tzinfo=NEW_YORK)
        (order,) = (await delete(client, f"{POSITIONS}/XOM")).json()["data"]
        assert order["releases_at"] == "2026-11-30T14:30:00.000000000Z"


async def test_what_has_not_filled_at_the_close_expires(opened: Opening, clock: SettableClock):
    clock.at = datetime(2026, 11, 23, 15, 59, 58, 500_000, tzinfo=NEW_YORK)
    async with http(opened("demo")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        clock.advance(timedelta(seconds=5))
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
        assert (found["status"], found["filled_quantity"], found["leaves_quantity"]) == ("EXPIRED", "200", "0")
        assert by_symbol(await client.get(POSITIONS))["KO"]["quantity"] == "200"


async def test_an_option_that_no_longer_trades_is_rejected_in_the_answer(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    clock.at = datetime(2026, 11, 23, 16, 30, tzinfo=NEW_YORK)
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/AAPL261123C00250000")).json()["data"]
    assert (order["status"], order["details"]) == ("REJECTED", ["The contract no longer trades"])


@pytest.mark.parametrize(
    ("symbol", "status", "filled"),
    [("AAPL", "REJECTED", "0"), ("GME", "REJECTED", "0"), ("HALT", "REJECTED", "0"), ("THIN", "EXPIRED", "480")],
)
async def test_a_rough_scenario_rejects_orders_or_fills_them_in_part(
    opened: Opening, clock: SettableClock, symbol: str, status: str, filled: str
):
    async with http(opened("rough")) as client:
        (order,) = (await delete(client, f"{POSITIONS}/{symbol}")).json()["data"]
        clock.advance(timedelta(hours=6))
        found = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    assert (found["status"], found["filled_quantity"]) == (status, filled)
    assert found["details"]


async def test_a_multi_leg_order_has_legs_instead_of_an_instrument_and_locks_them(opened: Opening):
    async with http(opened("rough")) as client:
        (order,) = (await client.get(ORDERS)).json()["data"]
        rows = by_symbol(await client.get(POSITIONS))
    assert order["symbol"] is order["instrument_id"] is order["instrument_type"] is None
    assert [(leg["symbol"][-9:], leg["side"]) for leg in order["legs"]] == [("P00600000", "SELL"), ("P00580000", "BUY")]
    assert [rows[leg["symbol"].replace(" ", "")]["available_quantity"] for leg in order["legs"]] == ["3", "3"]
