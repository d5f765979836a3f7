"""Reads that come late: the book behind the fills, orders behind the book, and orders that are not listed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from paper.support import ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http


async def held(client: httpx.AsyncClient) -> dict[str, str]:
    return {symbol: row["quantity"] for symbol, row in by_symbol(await client.get(POSITIONS)).items()}


async def orders(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return [row for row in (await client.get(ORDERS)).json()["data"] if row["symbol"] == "KO"]


async def test_a_position_follows_its_fills_by_the_seconds_that_were_said(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    exchange.arm("stale_positions", seconds=5)
    async with http(exchange) as client:
        await delete(client, f"{POSITIONS}/KO")
        clock.advance(timedelta(seconds=2))
        (order,) = await orders(client)
        before = by_symbol(await client.get(POSITIONS))["KO"]
        assert (order["status"], before["quantity"], before["available_quantity"]) == ("FILLED", "400", "400")
        seen = [(await held(client)).get("KO")]
        for _ in range(5):
            clock.advance(timedelta(seconds=1))
            seen.append((await held(client)).get("KO"))
    assert seen == ["400", "400", "400", "400", "200", None]


async def test_clearing_shows_the_book_as_it_is(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    async with http(exchange) as client:
        await delete(client, f"{POSITIONS}/KO")
        clock.advance(timedelta(seconds=2))
        assert "KO" not in await held(client)
        exchange.arm("stale_positions", seconds=60)
        assert (await held(client))["KO"] == "400"
        exchange.disarm()
        assert "KO" not in await held(client)


async def test_only_the_named_instrument_is_late(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    exchange.arm("stale_positions", seconds=60, instrument="KO")
    async with http(exchange) as client:
        await delete(client, POSITIONS)
        clock.advance(timedelta(seconds=2))
        late = await held(client)
    assert "KO" in late
    assert "AAPL" not in late


async def test_filters_pages_and_order_hold_in_a_late_reading(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    async with http(exchange) as client:
        first = (await client.get(POSITIONS, params={"sort_by": "QUANTITY"})).json()["data"]
        await delete(client, POSITIONS)
        clock.advance(timedelta(seconds=2))
        exchange.arm("stale_positions", seconds=60)
        page = (await client.get(POSITIONS, params={"sort_by": "QUANTITY", "page_size": 10})).json()
        ids = first[0]["instrument_id"]
        only = (await client.get(POSITIONS, params={"instrument_ids": ids})).json()["data"]
    assert [row["symbol"] for row in page["data"]] == [row["symbol"] for row in first[:10]]
    assert page["metadata"]["total_items"] == len(first)
    assert [row["instrument_id"] for row in only] == [ids]


async def test_orders_are_as_they_were_in_the_listing_and_by_their_id(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        exchange.arm("stale_orders", seconds=3)
        assert await orders(client) == []
        assert (await client.get(f"{ORDERS}/{order['id']}")).status_code == 404
        seen = []
        for _ in range(6):
            clock.advance(timedelta(seconds=1))
            listed = await orders(client)
            if listed:
                assert (await client.get(f"{ORDERS}/{order['id']}")).json()["data"] == listed[0]
            seen.append([(row["status"], row["filled_quantity"]) for row in listed])
    assert seen == [
        *([], []),
        [("PENDING_NEW", "0")],
        [("PARTIALLY_FILLED", "200")],
        *([("FILLED", "400")], [("FILLED", "400")]),
    ]


@pytest.mark.parametrize(
    ("kind", "options", "listed"),
    [
        ("unlisted_orders", {}, [False, False, False]),
        ("unlisted_orders", {"seconds": 2}, [False, False, True]),
        ("delisted_orders", {}, [True, True, False]),
        ("delisted_orders", {"instrument": "AAPL"}, [True, True, True]),
    ],
)
async def test_an_order_is_not_listed_while_its_id_answers(
    opened: Opening, clock: SettableClock, kind: str, options: dict[str, Any], listed: list[bool]
):
    exchange = opened("demo")
    exchange.arm(kind, **options)
    seen = []
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        for _ in range(3):
            seen.append(bool(await orders(client)))
            assert (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]["id"] == order["id"]
            clock.advance(timedelta(seconds=1))
        total = (await client.get(ORDERS)).json()
    assert seen == listed
    assert total["metadata"]["total_items"] == len(total["data"])


async def test_a_late_reading_survives_a_new_process_on_the_same_book(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    async with http(exchange) as client:
        await delete(client, f"{POSITIONS}/KO")
    clock.advance(timedelta(seconds=2))
    exchange.arm("stale_positions", seconds=60)
    exchange.arm("stale_orders", seconds=1)
    async with http(opened(None)) as client:
        assert (await held(client))["KO"] == "400"
        assert [row["status"] for row in await orders(client)] == ["PARTIALLY_FILLED"]
