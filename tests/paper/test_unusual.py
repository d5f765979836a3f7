"""Instruments as live has them, filters that are honoured or refused, and paths that lead nowhere else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from paper.support import ACCOUNT, INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from positions_mcp.paper.symbols import instrument_id_of, is_ticker, parse_contract, root_names

UNUSUAL = """
title = "What live books hold"
underlyings = [
  { symbol = "AAPL", price = 230 }, { symbol = "BRK.B", price = 480 }, { symbol = "BF/A", price = 40 },
  { symbol = "BAC-PL", price = 1200 }, { symbol = "BAC PRM", price = 20 },
]
positions = [
  { symbol = "AAPL", quantity = 0.123456789012, average_price = 200 },
  { symbol = "BRK.B", quantity = -0.000001, average_price = 470.123456 },
  { symbol = "BF/A", quantity = 3, average_price = 41 },
  { symbol = "BAC-PL", quantity = 2, average_price = 1190 },
  { symbol = "BAC PRM", quantity = 2, average_price = 21 },
  { symbol = "AAPL1 friday+1 200 call", quantity = 2, average_price = 5 },
  { symbol = "1AAPL friday+1 210 put", quantity = -2, average_price = 5 },
  { symbol = "BRKB friday+1 450 call", quantity = 2, average_price = 5 },
]
"""


@pytest.fixture
def unusual(tmp_path: Path) -> str:
    path = tmp_path / "unusual.toml"
    path.write_text(UNUSUAL)
    return str(path)


@pytest.mark.parametrize("contract", ["seed", "summer", "current"])
async def test_the_book_takes_and_closes_what_live_holds(
    opened: Opening, clock: SettableClock, unusual: str, contract: str
):
    async with http(opened(unusual, contract=contract)) as client:
        held = by_symbol(await client.get(POSITIONS))
        assert held["AAPL"]["quantity"] == held["AAPL"]["available_quantity"] == "0.123456789012"
        assert held["BRK.B"]["quantity"] == "-0.000001"
        options = {row["symbol"][:6]: row["underlying_instrument_id"] for row in held.values() if "2026" not in row}
        assert options["AAPL1 "] == options["1AAPL "] == held["AAPL"]["instrument_id"]
        assert options["BRKB  "] == held["BRK.B"]["instrument_id"]
        for path in ("BF%2FA", "BAC-PL", "BAC%20PRM", "BRK.B"):
            assert (await delete(client, f"{POSITIONS}/{path}")).status_code == 200, path
        assert (await delete(client, POSITIONS)).status_code == 200
        clock.advance(timedelta(seconds=2))
        assert by_symbol(await client.get(POSITIONS)) == {}


@pytest.mark.parametrize("root", ["AAPL", "AAPL1", "AAPL12", "1AAPL", "2AAPL"])
def test_an_adjusted_or_flex_root_names_its_underlying(root: str):
    contract = parse_contract(f"{root:<6}261218C00200000")
    assert contract is not None
    assert (contract.root, len(contract.padded)) == (root, 21)
    assert root_names(root, "AAPL")
    assert not root_names(root, "APLE")


@pytest.mark.parametrize("text", ["", ".", "..", "BRK.", ".B", "/", "BRK//B", "aapl", "AAPL\n", "A" * 13])
def test_what_names_nothing_is_no_ticker(text: str):
    assert not is_ticker(text)


UNKNOWN = ("symbol=AAPL", "instrument_type=OPTION", "cancel_orders=true", "updated_at=2026-11-23", "limit=1", "a[0]=1")


@pytest.mark.parametrize("query", UNKNOWN)
async def test_an_unknown_parameter_is_400_for_every_operation_and_has_no_effect(opened: Opening, query: str):
    exchange = opened("demo")
    async with http(exchange) as client:
        order = (await client.get(ORDERS)).json()["data"][0]["id"]
        known_there = {ORDERS: ("symbol=AAPL", "instrument_type=OPTION")}
        calls = [
            ("GET", POSITIONS), ("DELETE", POSITIONS), ("DELETE", f"{POSITIONS}/KO"), ("GET", INSTRUCTIONS),
            ("POST", INSTRUCTIONS), ("DELETE", f"{INSTRUCTIONS}/{order}"), ("GET", ORDERS),
            ("GET", f"{ORDERS}/{order}"), ("DELETE", f"{ORDERS}/{order}"),
        ]  # fmt: skip
        for method, path in calls:
            if query not in known_there.get(path, ()):
                answer = await client.request(method, f"{path}?{query}")
                assert answer.status_code == 400, (method, path)
                assert "unknown field" in answer.json()["error"]["message"]
    assert exchange.effect_counts() == {}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("updated_at[gte]=2026-11-23", 1),
        ("updated_at[gt]=2026-11-23", 0),
        ("updated_at[lt]=2026-11-23", 0),
        ("updated_at[lte]=2026-11-23", 1),
        ("updated_at[gt]=2026-11-22&updated_at[lt]=2026-11-24", 1),
        ("updated_at[gte]=2026-11-23T16:00:00.000000001Z", 0),
        ("updated_at%5Blte%5D=2026-11-23T11:00:00-05:00", 1),
        ("instrument_ids[0]=KO&instrument_ids[1]=MSFT", 1),
        ("instrument_ids[]=KO&instrument_ids[]=MSFT", 1),
        ("instrument_ids[0]=KO", 0),
        ("status[0]=NEW&status[1]=FILLED", 1),
        ("to=2026-11-23", 1),
        ("from=2026-11-24", 0),
    ],
)
async def test_a_filter_of_orders_is_honoured_in_each_of_its_forms(opened: Opening, query: str, count: int):
    async with http(opened("demo")) as client:
        answer = await client.get(f"{ORDERS}?{query}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == count


@pytest.mark.parametrize(
    "query",
    [
        "updated_at[gt]=2026-11-24&updated_at[lt]=2026-11-23",
        "updated_at[gte]=soon",
        "updated_at[gte]=2026-W48-1",
        "updated_at[eq]=2026-11-23",
        "instrument_ids=KO&instrument_ids[0]=MSFT",
        "instrument_ids[0]=KO&instrument_ids[0]=MSFT",
        "instrument_ids[a]=KO",
        "symbol[0]=KO",
    ],
)
async def test_a_filter_that_says_nothing_clear_is_400(opened: Opening, query: str):
    async with http(opened("demo")) as client:
        assert (await client.get(f"{ORDERS}?{query}")).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "positions%2FAAPL", "positions/%2E", "positions/%2e%2E", "positions/%2F", "positions/AAPL%2F", "positions/",
        "positions/.%2FAAPL", "positions/%2E%2E%2Fpositions", "positions/instructions%2F{id}",
        "positions%2Finstructions", "positions/%2570ositions", "positions/AAPL%2F..", "positions/instructions/%2E%2E",
        "orders%2F..%2Fpositions",
    ],
)  # fmt: skip
async def test_an_encoded_slash_or_dot_leads_nowhere_else(opened: Opening, path: str):
    exchange = opened("demo")
    sent = instrument_id_of("AAPL")
    async with http(exchange) as client:
        answer = await client.request("DELETE", f"{ACCOUNT}/{path.format(id=sent)}")
    assert answer.status_code in (404, 405), answer.text
    assert exchange.effect_counts() == {}
