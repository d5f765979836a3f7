"""Positions, instructions and orders as the exchange answers them, in both dialects."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, http
from positions_mcp.paper.symbols import instrument_id_of

SORT_KEYS = (
    "SYMBOL",
    "INSTRUMENT_TYPE",
    "QUANTITY",
    "MARKET_VALUE",
    "POSITION_TYPE",
    "UNREALIZED_PNL",
    "DAILY_UNREALIZED_PNL",
)


async def test_a_position_is_worth_its_quantity_times_price_times_multiplier_exactly(opened: Opening):
    async with http(opened("demo")) as client:
        rows = by_symbol(await client.get(POSITIONS))
    assert len(rows) == 25
    for row in rows.values():
        units = Decimal(row["quantity"]) * (100 if row["instrument_type"] == "OPTION" else 1)
        price, closing = Decimal(row["instrument_price"]), Decimal(row["closing_price"])
        assert Decimal(row["market_value"]) == units * price
        assert Decimal(row["cost_basis"]) == units * Decimal(row["avg_price"])
        assert Decimal(row["unrealized_pnl"]) == Decimal(row["market_value"]) - Decimal(row["cost_basis"])
        assert Decimal(row["daily_unrealized_pnl"]) == units * (price - closing)
        share = Decimal(row["unrealized_pnl"]) * 100 / abs(Decimal(row["cost_basis"]))
        assert Decimal(row["unrealized_pnl_pct"]) == share.quantize(Decimal("0.0001"))


async def test_the_seed_says_an_options_right_in_its_position_type_and_the_current_dialect_does_not(opened: Opening):
    async with http(opened("demo", contract="seed")) as seed, http(opened("demo")) as current:
        old, new = by_symbol(await seed.get(POSITIONS)), by_symbol(await current.get(POSITIONS))
    assert {row["position_type"] for row in old.values()} == {
        "LONG", "SHORT", "LONG_CALL", "SHORT_CALL", "LONG_PUT", "SHORT_PUT",
    }  # fmt: skip
    assert {row["position_type"] for row in new.values()} == {"LONG", "SHORT"}
    assert "daily_realized_pnl" not in old["AAPL"]
    assert new["AAPL"]["daily_realized_pnl"] == "0.00"
    option = new["AAPL261123C00225000"]
    assert option["underlying_instrument_id"] == new["AAPL"]["instrument_id"]
    assert option["underlying_instrument_type"] == "COMMON_STOCK"


async def test_an_open_order_locks_what_it_offers(opened: Opening):
    async with http(opened("demo")) as client:
        held = by_symbol(await client.get(POSITIONS))["MSFT"]
        order = (await client.get(ORDERS)).json()["data"][0]
    assert (held["quantity"], held["available_quantity"]) == ("100", "60")
    assert (order["symbol"], order["leaves_quantity"], order["time_in_force"]) == ("MSFT", "40", "GOOD_TILL_CANCEL")


@pytest.mark.parametrize("contract", ["seed", "current"])
async def test_every_sort_key_orders_both_ways_and_pages_never_repeat_or_lose_a_row(opened: Opening, contract: str):
    async with http(opened("demo", contract=contract)) as client:
        for key in (*SORT_KEYS, *(["DAILY_REALIZED_PNL"] if contract == "current" else [])):
            orders = []
            for direction in ("ASC", "DESC"):
                query: dict[str, Any] = {"sort_by": key, "sort_direction": direction}
                whole = [row["symbol"] for row in (await client.get(POSITIONS, params=query)).json()["data"]]
                paged: list[str] = []
                page = (await client.get(POSITIONS, params={**query, "page_size": 7})).json()
                while True:
                    paged += [row["symbol"] for row in page["data"]]
                    if "next_page_token" not in page["metadata"]:
                        break
                    query["page_token"] = page["metadata"]["next_page_token"]
                    page = (await client.get(POSITIONS, params={**query, "page_size": 3})).json()
                assert paged == whole
                assert len(set(whole)) == 25
                orders.append(whole)
            if key in ("SYMBOL", "QUANTITY", "MARKET_VALUE", "UNREALIZED_PNL"):
                assert orders[0] != orders[1], key


async def test_amounts_are_sorted_as_numbers_not_as_text(opened: Opening):
    async with http(opened("demo")) as client:
        answer = await client.get(POSITIONS, params={"sort_by": "MARKET_VALUE", "sort_direction": "DESC"})
    values = [Decimal(row["market_value"]) for row in answer.json()["data"]]
    assert values == sorted(values, reverse=True)


async def test_a_token_is_bound_to_its_filters_its_order_and_this_service(opened: Opening):
    async with http(opened("demo")) as client:
        first = {"sort_by": "QUANTITY", "page_size": 10}
        metadata = (await client.get(POSITIONS, params=first)).json()["metadata"]
        assert (metadata["page_number"], metadata["total_items"], metadata["total_pages"]) == (1, 25, 3)
        token = metadata["next_page_token"]
        second = await client.get(POSITIONS, params={"sort_by": "QUANTITY", "page_token": token})
        assert second.json()["metadata"]["page_number"] == 2
        assert second.json()["metadata"]["previous_page_token"]
        for query in ({}, {"sort_by": "SYMBOL"}, {"sort_by": "QUANTITY", "sort_direction": "DESC"}):
            assert (await client.get(POSITIONS, params={**query, "page_token": token})).status_code == 400
        for forged in ("", "x", token[:-4] + "AAAA", "cGFnZT0yJmxhc3Rfc3ltYm9sPVRTM0E="):
            answer = await client.get(POSITIONS, params={"sort_by": "QUANTITY", "page_token": forged})
            assert answer.status_code == 400, forged


async def test_instruments_are_filtered_by_uuid_and_by_symbol_only_in_the_current_dialect(opened: Opening):
    apple, call = instrument_id_of("AAPL"), "AAPL  261123C00225000"
    async with http(opened("demo", contract="seed")) as seed, http(opened("demo")) as current:
        by_id = await seed.get(POSITIONS, params={"instrument_ids": f"{apple},{instrument_id_of('MSFT')}"})
        assert set(by_symbol(by_id)) == {"AAPL", "MSFT"}
        assert (await seed.get(POSITIONS, params={"instrument_ids": "AAPL"})).status_code == 400
        mixed = await current.get(POSITIONS, params={"instrument_ids": f"{apple},{call},NOBODY"})
        assert set(by_symbol(mixed)) == {"AAPL", "AAPL261123C00225000"}
        repeated = await current.get(f"{POSITIONS}?instrument_ids=AAPL&instrument_ids=MSFT")
        assert repeated.status_code == 400


async def test_prices_move_with_the_clock_and_are_the_same_whenever_the_same_instant_is_asked_for(
    opened: Opening, clock: SettableClock
):
    async with http(opened("demo")) as client:
        prices = []
        for span in (timedelta(0), timedelta(seconds=3), timedelta(minutes=30)):
            clock.advance(span)
            rows = by_symbol(await client.get(POSITIONS))
            prices.append([row["instrument_price"] for row in rows.values()])
    async with http(opened("demo", contract="seed")) as other:
        again = [row["instrument_price"] for row in by_symbol(await other.get(POSITIONS)).values()]
    assert prices[0] == prices[1]
    assert prices[1] != prices[2]
    assert again == prices[2]


async def test_nothing_moves_while_the_market_is_closed(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    clock.advance(timedelta(hours=6))
    async with http(exchange) as client:
        evening = by_symbol(await client.get(POSITIONS))
        clock.advance(timedelta(minutes=40))
        assert by_symbol(await client.get(POSITIONS)) == evening


async def test_a_share_without_a_price_has_nulls_and_no_invented_profit(opened: Opening):
    async with http(opened("rough")) as client:
        row = by_symbol(await client.get(POSITIONS))["HALT"]
        by_value = (await client.get(POSITIONS, params={"sort_by": "MARKET_VALUE"})).json()["data"]
    assert (
        row["instrument_price"] is row["closing_price"] is row["unrealized_pnl"] is row["daily_unrealized_pnl"] is None
    )
    assert (row["market_value"], row["cost_basis"]) == ("0.00", "2400.00")
    assert by_value[-1]["symbol"] == "HALT"


async def test_an_unresolvable_option_has_an_empty_symbol_and_no_underlying(opened: Opening):
    async with http(opened("rough")) as client:
        row = by_symbol(await client.get(POSITIONS))[""]
    assert row["instrument_type"] == "OPTION"
    assert row["underlying_instrument_id"] is None


async def test_an_empty_symbol_comes_last_whichever_way_symbols_are_sorted(opened: Opening):
    async with http(opened("rough")) as client:
        up, down = [
            [row["symbol"] for row in (await client.get(f"{POSITIONS}?sort_direction={way}")).json()["data"]]
            for way in ("ASC", "DESC")
        ]
    assert up == [*sorted(up[:-1]), ""]
    assert down == [*sorted(up[:-1], reverse=True), ""]


@pytest.mark.parametrize(("contract", "key"), [("seed", "instruction_id"), ("current", "client_instruction_id")])
async def test_instructions_are_listed_with_the_dialects_key_and_filtered_by_contract(
    opened: Opening, contract: str, key: str
):
    async with http(opened("demo", contract=contract)) as client:
        rows = (await client.get(INSTRUCTIONS)).json()["data"]
        one = (await client.get(INSTRUCTIONS, params={"instrument_id": "NVDA  261123P00160000"})).json()["data"]
        missing = await client.get(INSTRUCTIONS, params={"instrument_id": "NVDA  261123P00999000"})
    assert [(row[key], row["status"]) for row in rows] == [
        ("desk-0001", "ACCEPTED"),
        ("desk-0002", "SENT"),
        ("desk-0003", "REJECTED"),
    ]
    assert [(row["symbol"], row["accepted_quantity"]) for row in one] == [("NVDA  261123P00160000", "1")]
    assert rows[2]["rejection_reason"] == "Contrary exercise is not permitted for this account"
    assert missing.status_code == 404


async def test_orders_are_filtered_found_by_id_and_missing_ones_are_404(opened: Opening):
    async with http(opened("demo")) as client:
        order = (await client.get(ORDERS)).json()["data"][0]
        for query, count in (
            ({"instrument_ids": "MSFT"}, 1),
            ({"order_ids": order["id"]}, 1),
            ({"status": "FILLED,CANCELED"}, 0),
            ({"status": "NEW", "symbol": "MSFT", "instrument_type": "COMMON_STOCK"}, 1),
            ({"underlying_instrument_ids": "MSFT"}, 0),
            ({"from": "2026-11-23T15:00:00Z"}, 0),
            ({"to": "2026-11-23T15:00:00Z"}, 1),
        ):
            answer = await client.get(ORDERS, params=query)
            assert len(answer.json()["data"]) == count, query
        assert (await client.get(f"{ORDERS}/{order['id']}")).json()["data"] == order
        assert (await client.get(f"{ORDERS}/{instrument_id_of('AAPL')}")).status_code == 404


async def test_a_page_of_a_large_book_is_full_and_all_ten_make_the_book(opened: Opening):
    async with http(opened("large")) as client:
        seen: set[str] = set()
        query: dict[str, str] = {}
        for number in range(1, 11):
            page = (await client.get(POSITIONS, params=query)).json()
            assert len(page["data"]) == 1000
            assert page["metadata"]["page_number"] == number
            seen |= {row["instrument_id"] for row in page["data"]}
            query["page_token"] = page["metadata"].get("next_page_token", "")
    assert len(seen) == 10_000
