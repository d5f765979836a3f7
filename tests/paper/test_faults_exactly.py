"""Faults that strike exactly the requests they are for, as often as they say, with what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from paper.serving import command
from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from paper.test_instructions import AMD_CALL, row, submit
from positions_mcp.paper import PaperError
from positions_mcp.paper.symbols import instrument_id_of

BALANCES = "/v1/accounts/19816/balances"


async def statuses(client: httpx.AsyncClient, *requests: tuple[str, str]) -> list[int]:
    return [(await client.request(method, path)).status_code for method, path in requests]


async def test_the_third_request_is_struck_and_no_other(opened: Opening):
    exchange = opened("demo")
    exchange.arm("status_503", "get_positions", skip=2)
    async with http(exchange) as client:
        assert await statuses(client, *[("GET", POSITIONS)] * 5) == [200, 200, 503, 200, 200]


async def test_a_standing_fault_strikes_until_it_is_cleared(opened: Opening):
    exchange = opened("demo")
    exchange.arm("status_404", "get_orders", times=None)
    async with http(exchange) as client:
        assert await statuses(client, *[("GET", ORDERS)] * 4) == [404] * 4
        exchange.disarm()
        assert await statuses(client, ("GET", ORDERS)) == [200]


async def test_a_fault_for_an_account_leaves_the_others_alone(opened: Opening):
    exchange = opened("demo", accounts=[19816, 19817])
    exchange.arm("status_403", account=19817, times=2)
    async with http(exchange) as client:
        other = POSITIONS.replace("19816", "19817")
        assert await statuses(client, ("GET", POSITIONS), ("GET", other), ("GET", "/v1/clock")) == [200, 403, 200]
        assert await statuses(client, ("GET", other), ("GET", other)) == [403, 200]


@pytest.mark.parametrize("named", ["KO", instrument_id_of("KO")])
@pytest.mark.parametrize("asked", ["KO", instrument_id_of("KO")])
async def test_a_fault_for_an_instrument_strikes_requests_that_name_it_in_any_spelling(
    opened: Opening, named: str, asked: str
):
    exchange = opened("demo")
    exchange.arm("status_500", instrument=named)
    async with http(exchange) as client:
        assert await statuses(client, ("DELETE", f"{POSITIONS}/AAPL"), ("GET", POSITIONS)) == [200, 200]
        assert await statuses(client, ("DELETE", f"{POSITIONS}/{asked}")) == [500]
    assert exchange.effect_counts() == {"close_position": 1}


async def test_a_fault_for_an_instrument_finds_it_in_queries_bodies_orders_and_instructions(opened: Opening):
    exchange = opened("expiry")
    call = instrument_id_of(AMD_CALL)
    async with http(exchange) as client:
        (sent,) = (await submit(client, row(AMD_CALL))).json()["data"]
        (order,) = (await delete(client, f"{POSITIONS}/TSLA")).json()["data"]
        exchange.arm("status_503", instrument=call, times=None)
        exchange.arm("status_504", instrument="TSLA", times=None)
        named: list[tuple[str, str, int]] = [
            ("GET", f"{POSITIONS}?instrument_ids={call}", 503),
            ("GET", f"{INSTRUCTIONS}?instrument_id={call}", 503),
            ("GET", f"/v1/market-data/snapshot?instrument_ids=AAPL,{call}", 503),
            ("GET", f"/v1/instruments/options/contracts?contract_ids={call}", 503),
            ("DELETE", f"{INSTRUCTIONS}/{sent['id']}", 503),
            ("GET", f"{ORDERS}/{order['id']}", 504),
            ("DELETE", f"{ORDERS}/{order['id']}", 504),
            ("GET", f"{ORDERS}?instrument_ids=AAPL", 200),
        ]
        assert await statuses(client, *[(method, path) for method, path, _ in named]) == [code for _, _, code in named]
        assert (await submit(client, row(AMD_CALL))).status_code == 503


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, '{"data": [], "error": null, "metadata": {}}', "application/json"),
        (404, "<h1>gone</h1>", "text/plain; charset=utf-8"),
        (503, "", "text/plain; charset=utf-8"),
        (422, '{"detail": "no"}', "application/json"),
    ],
)
async def test_an_answer_has_a_body_of_ones_own(opened: Opening, status: int, body: str, kind: str):
    exchange = opened("demo")
    exchange.arm(f"status_{status}", "get_positions", body=body)
    async with http(exchange) as client:
        answer = await client.get(POSITIONS)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (status, body, kind)


async def test_latency_holds_beside_other_faults_and_varies_by_its_jitter(opened: Opening):
    slept: list[float] = []

    async def sleeper(seconds: float) -> None:
        slept.append(seconds)

    exchange = opened("demo", sleeper=sleeper)
    exchange.arm("latency", seconds="0.5", jitter="0.2")
    exchange.arm("status_503", "get_positions", skip=1)
    async with http(exchange) as client:
        assert await statuses(client, *[("GET", POSITIONS)] * 20) == [200, 503] + [200] * 18
    assert len(slept) == 20
    assert all(0.3 <= seconds <= 0.7 for seconds in slept)
    assert len(set(slept)) > 10


async def test_a_rate_limit_lets_its_budget_pass_and_says_truly_when_to_come_back(
    opened: Opening, clock: SettableClock
):
    exchange = opened("demo")
    exchange.arm("rate_limit", count=2, seconds=30)
    async with http(exchange) as client:
        assert await statuses(client, ("GET", POSITIONS)) == [200]
        clock.advance(timedelta(seconds=10))
        assert await statuses(client, ("GET", BALANCES)) == [200]
        refused = await client.get(POSITIONS)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
        clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
        assert await statuses(client, ("GET", POSITIONS), ("GET", POSITIONS)) == [200, 429]


async def test_a_request_beyond_its_rate_uses_up_no_other_fault(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    exchange.arm("rate_limit", count=1, seconds=5)
    async with http(exchange) as client:
        assert await statuses(client, ("GET", POSITIONS)) == [200]
        exchange.arm("status_500", "get_positions")
        assert await statuses(client, ("GET", POSITIONS)) == [429]
        clock.advance(timedelta(seconds=5))
        assert await statuses(client, ("GET", POSITIONS)) == [500]


@pytest.mark.parametrize("kind", ["reject_order", "reject_order_later"])
async def test_an_order_is_rejected_at_run_time_and_the_position_stays(
    opened: Opening, clock: SettableClock, kind: str
):
    exchange = opened("demo")
    exchange.arm(kind, instrument="KO")
    async with http(exchange) as client:
        orders = {order["symbol"]: order for order in (await delete(client, POSITIONS)).json()["data"]}
        assert orders["KO"]["status"] == ("REJECTED" if kind == "reject_order" else "PENDING_NEW")
        assert orders["AAPL"]["status"] == "PENDING_NEW"
        clock.advance(timedelta(seconds=2))
        ended = (await client.get(f"{ORDERS}/{orders['KO']['id']}")).json()["data"]
        assert (ended["status"], ended["details"]) == ("REJECTED", ["Rejected by the venue"])
        held = by_symbol(await client.get(POSITIONS))
    assert "KO" in held
    assert "AAPL" not in held


async def test_an_order_fills_in_parts_over_time_and_what_never_fills_expires(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    exchange.arm("partial_fills", count=4, seconds=40, share="0.5")
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
        clock.advance(timedelta(milliseconds=300))
        filled = []
        for _ in range(5):
            clock.advance(timedelta(seconds=10))
            filled.append((await client.get(f"{ORDERS}/{order['id']}")).json()["data"]["filled_quantity"])
        assert filled == ["50", "100", "150", "200", "200"]
        clock.advance(timedelta(hours=6))
        ended = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    assert (ended["status"], ended["filled_quantity"], ended["leaves_quantity"]) == ("EXPIRED", "200", "0")


@pytest.mark.parametrize(
    ("kind", "operation", "field", "wrong"),
    [
        ("foreign_row", "get_positions", "account_id", 19817),
        ("foreign_row", "get_orders", "account_id", 19817),
        ("foreign_row", "close_position", "account_id", 19817),
        ("contradicting_side", "get_positions", "position_type", "SHORT"),
        ("contradicting_side", "get_orders", "side", "BUY"),
        ("contradicting_side", "close_position", "side", "BUY"),
    ],
)
async def test_the_row_of_an_instrument_is_anothers_or_contradicts_itself(
    opened: Opening, kind: str, operation: str, field: str, wrong: object
):
    exchange = opened("demo")
    async with http(exchange) as client:
        answers = {
            "close_position": lambda: delete(client, f"{POSITIONS}/KO"),
            "get_positions": lambda: client.get(POSITIONS),
            "get_orders": lambda: client.get(ORDERS),
        }
        if operation == "get_orders":
            await delete(client, f"{POSITIONS}/KO")
            await delete(client, f"{POSITIONS}/AAPL")
        exchange.arm(kind, operation, instrument="KO")
        rows: list[dict[str, Any]] = (await answers[operation]()).json()["data"]
    struck = [r["symbol"] for r in rows if r[field] == wrong and (kind == "foreign_row" or r["symbol"] == "KO")]
    assert struck == ["KO"]


async def test_a_short_says_long_and_keeps_its_sign(opened: Opening):
    exchange = opened("demo")
    async with http(exchange) as client:
        short = next(r for r in (await client.get(POSITIONS)).json()["data"] if r["position_type"] == "SHORT")
        exchange.arm("contradicting_side", instrument=short["instrument_id"])
        again = next(
            r for r in (await client.get(POSITIONS)).json()["data"] if r["instrument_id"] == short["instrument_id"]
        )
    assert again == {**short, "position_type": "LONG"}


@pytest.mark.parametrize("operation", ["close_position", "get_orders", "get_positions"])
async def test_the_same_row_is_there_twice(opened: Opening, operation: str):
    exchange = opened("demo")
    async with http(exchange) as client:
        if operation == "close_position":
            exchange.arm("repeated_row", operation)
            first, second = (await delete(client, f"{POSITIONS}/KO")).json()["data"]
            assert exchange.effect_counts() == {"close_position": 1}
        else:
            await delete(client, f"{POSITIONS}/KO")
            exchange.arm("repeated_row", operation, instrument="KO")
            rows = (await client.get(ORDERS if operation == "get_orders" else POSITIONS)).json()["data"]
            first, second = (r for r in rows if r["symbol"] == "KO")
    assert first == second


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("status_500", {"skip": -1}, "no fewer than 0"),
        ("status_500", {"account": 0}, "above zero"),
        ("rate_limit", {"count": 0}, "from 1"),
        ("partial_fills", {"share": "1.5"}, "from 0 to 1"),
        ("latency", {"jitter": -1}, "from 0 to 3600"),
        ("delay", {"body": "x"}, "status_NNN"),
        ("status_200", {}, "body of its own"),
        ("status_500", {"skip": "2"}, "whole number"),
        ("status_500", {"account": True}, "whole number"),
        ("status_500", {"body": 1}, "texts"),
        ("status_500", {"colour": "red"}, "colour"),
        ("stale_positions", {"operation": "get_orders"}, "get_positions"),
    ],
)
def test_what_cannot_be_armed_says_why(opened: Opening, kind: str, options: dict[str, Any], said: str):
    exchange = opened("demo")
    with pytest.raises(PaperError, match=said):
        exchange.arm(kind, **options)
    assert exchange.faults() == []


def test_the_command_line_arms_all_of_it_and_says_what_it_armed(opened: Opening, tmp_path: Any):
    opened("demo", clock=None).close()
    where = tmp_path / "data"
    said = command(
        *("fault", "status_503", "close_position", "--skip", "2", "--account", "19816", "--instrument", "KO"),
        *("--standing", "--body", "busy"),
        data_dir=where,
    ).stdout
    assert said == (
        "Armed: status_503 for close_position, account 19816, instrument KO, until cleared, after 2 request(s).\n"
    )
    listed = command("fault", data_dir=where).stdout
    assert "status_503 for close_position, account 19816" in listed
    assert command("fault", "status_503", "--body", "@nowhere", data_dir=where).returncode == 2
