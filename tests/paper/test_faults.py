"""Failures on demand: each happens as it says, as often as it says, and the exchange counts what it really did."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from paper.serving import Served, command, serving
from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from paper.test_instructions import AMD_CALL, row, submit
from positions_mcp.paper import (
    KINDS,
    AnswerTruncated,
    ConnectionDropped,
    ConnectionRefused,
    PaperError,
    PaperExchange,
    TransportFault,
)

NO_EFFECT: dict[str, int] = {}
ONE_EFFECT = {"close_position": 1}


async def struck(exchange: PaperExchange, kind: str, **options: object) -> httpx.Response:
    """Closes AAPL while a fault is armed."""
    exchange.arm(kind, "close_position", **options)
    async with http(exchange) as client:
        return await delete(client, f"{POSITIONS}/AAPL", cancel_orders=False)


@pytest.mark.parametrize(
    ("kind", "error", "effects"),
    [
        ("refuse", ConnectionRefused, NO_EFFECT),
        ("drop_before_effect", ConnectionDropped, NO_EFFECT),
        ("drop_after_effect", ConnectionDropped, ONE_EFFECT),
        ("truncated_body", AnswerTruncated, ONE_EFFECT),
    ],
)
async def test_in_process_a_failing_connection_is_an_exception_of_its_kind(
    opened: Opening, kind: str, error: type[TransportFault], effects: dict[str, int]
):
    exchange = opened("demo")
    with pytest.raises(error):
        await struck(exchange, kind)
    assert exchange.effect_counts() == effects


@pytest.mark.parametrize("status", [302, 400, 403, 408, 429, 500, 502, 503, 504])
async def test_a_status_is_answered_without_an_effect_unless_asked_for(opened: Opening, status: int):
    exchange = opened("demo")
    answer = await struck(exchange, f"status_{status}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
    assert exchange.effect_counts() == NO_EFFECT
    assert (await struck(exchange, f"status_{status}", after_effect=True)).status_code == status
    assert exchange.effect_counts() == ONE_EFFECT


async def test_not_modified_has_no_body_as_http_wants_it(opened: Opening):
    exchange = opened("demo")
    answer = await struck(exchange, "status_304")
    assert (answer.status_code, answer.content) == (304, b"")
    assert exchange.effect_counts() == NO_EFFECT


async def test_too_many_requests_says_when_to_come_back(opened: Opening):
    answer = await struck(opened("demo"), "status_429", seconds=7)
    assert answer.headers["retry-after"] == "7"


async def test_a_body_that_is_no_json_and_an_empty_answer_come_after_the_effect(opened: Opening):
    exchange = opened("demo")
    page = await struck(exchange, "non_json_body")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert exchange.effect_counts() == ONE_EFFECT
    exchange.arm("empty_204", "close_positions")
    async with http(exchange) as client:
        empty = await delete(client, POSITIONS)
    assert (empty.status_code, empty.content) == (204, b"")
    assert exchange.effect_counts() == {"close_position": 1, "close_positions": 1}


async def test_a_missing_order_was_placed_all_the_same(opened: Opening):
    exchange = opened("demo")
    assert (await struck(exchange, "missing_order")).json()["data"] == []
    async with http(exchange) as client:
        assert len((await client.get(ORDERS, params={"symbol": "AAPL"})).json()["data"]) == 1


async def test_a_changed_quantity_is_true_because_somebody_else_traded(opened: Opening, clock: SettableClock):
    exchange = opened("demo")
    (order,) = (await struck(exchange, "changed_quantity")).json()["data"]
    assert (order["side"], order["quantity"]) == ("SELL", "301")
    clock.advance(timedelta(seconds=2))
    async with http(exchange) as client:
        assert "AAPL" not in by_symbol(await client.get(POSITIONS))
        others = (await client.get(ORDERS, params={"symbol": "AAPL"})).json()["data"]
    assert [(other["side"], other["quantity"], other["status"]) for other in others] == [
        ("SELL", "301", "FILLED"),
        ("BUY", "1", "FILLED"),
    ]


async def test_an_ignored_key_is_neither_echoed_nor_honoured(opened: Opening):
    exchange = opened("expiry")
    keyed = row(AMD_CALL, client_instruction_id="mine")
    async with http(exchange) as client:
        await submit(client, keyed)
        exchange.arm("ignored_key")
        (again,) = (await submit(client, keyed)).json()["data"]
    assert again["status"] == "SENT"
    assert again["client_instruction_id"] == again["id"]
    assert exchange.effect_counts() == {"submit_position_instructions": 2}


async def test_unknown_fields_and_values_appear_in_reads_and_writes(opened: Opening):
    exchange = opened("demo")
    exchange.arm("unknown_fields", times=3)
    async with http(exchange) as client:
        position = by_symbol(await client.get(POSITIONS))["AAPL"]
        (order,) = (await delete(client, f"{POSITIONS}/AAPL")).json()["data"]
        instruction = (await client.get(INSTRUCTIONS)).json()["data"][0]
    assert position["position_type"] == "LONG_WARRANT"
    assert order["status"] == instruction["status"] == "PENDING_REVIEW"
    assert position["risk"] == order["risk"] == instruction["risk"]


async def test_a_total_changes_between_pages_not_before(opened: Opening):
    exchange = opened("demo")
    exchange.arm("changed_total", "get_positions")
    async with http(exchange) as client:
        first = (await client.get(POSITIONS, params={"page_size": 10})).json()["metadata"]
        second = (await client.get(POSITIONS, params={"page_token": first["next_page_token"]})).json()["metadata"]
    assert (first["total_items"], second["total_items"]) == (25, 26)
    assert exchange.faults() == []


@pytest.mark.parametrize(("kind", "before"), [("delay", ONE_EFFECT), ("delay_before_effect", NO_EFFECT)])
async def test_a_delay_comes_after_or_before_the_effect(opened: Opening, kind: str, before: dict[str, int]):
    slept: list[tuple[float, dict[str, int]]] = []

    async def sleeper(seconds: float) -> None:
        slept.append((seconds, exchange.effect_counts()))

    exchange = opened("demo", sleeper=sleeper)
    assert (await struck(exchange, kind, seconds=30)).status_code == 200
    assert slept == [(30.0, before)]


async def test_a_fault_strikes_its_operation_as_often_as_it_says_whichever_process_asks(opened: Opening):
    exchange, other = opened("demo"), opened("demo")
    exchange.arm("status_503", "get_orders", times=2)
    async with http(exchange) as one, http(other) as two:
        statuses = [
            (await client.get(path)).status_code
            for client, path in ((one, POSITIONS), (one, ORDERS), (two, ORDERS), (one, ORDERS), (two, ORDERS))
        ]
    assert statuses == [200, 503, 503, 200, 200]


async def test_a_request_without_a_valid_key_uses_up_no_fault(opened: Opening):
    exchange = opened("demo")
    exchange.arm("status_500")
    async with http(exchange, key="wrong.key") as client:
        assert (await client.get(POSITIONS)).status_code == 401
    assert len(exchange.faults()) == 1


@pytest.mark.parametrize(
    ("kind", "operation", "options", "named"),
    [
        ("explode", "any", {}, "explode"),
        ("status_200", "any", {}, "status_200"),
        ("delay", "get_everything", {}, "get_everything"),
        ("missing_order", "get_positions", {}, "close_positions"),
        ("delay", "any", {"times": 0}, "0 times"),
        ("delay", "any", {"seconds": -1}, "-1"),
        ("delay", "any", {"seconds": "NaN"}, "NaN"),
    ],
)
def test_a_fault_that_cannot_be_says_what_can(
    opened: Opening, kind: str, operation: str, options: dict[str, Any], named: str
):
    with pytest.raises(PaperError, match=named):
        opened("demo").arm(kind, operation, **options)


async def test_the_control_endpoint_arms_shows_and_disarms(opened: Opening):
    async with http(opened("demo"), key=None) as client:
        armed = await client.post(
            "/paper/faults", json={"kind": "delay", "operation": "get_orders", "times": 2, "seconds": 0.5}
        )
        assert armed.json()["kind"] == "delay"
        assert [fault["seconds"] for fault in (await client.get("/paper/faults")).json()] == ["0.5"]
        assert (await client.delete("/paper/faults")).json() == []
        for wrong in ({"kind": "explode"}, {"kind": "delay", "times": "2"}, {"kind": "delay", "colour": "red"}):
            assert (await client.post("/paper/faults", json=wrong)).status_code == 400
        for malformed in (b"{", b"[]", b"1"):
            assert (await client.post("/paper/faults", content=malformed)).status_code == 400


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    with serving(tmp_path_factory.mktemp("faults"), "demo") as running:
        yield running


def arm(served: Served, kind: str, operation: str = "any", **options: object) -> None:
    answer = httpx.post(f"{served.url}/paper/faults", json={"kind": kind, "operation": operation, **options})
    assert answer.status_code == 200, answer.text


def effects(served: Served) -> int:
    counts = httpx.get(f"{served.url}/paper/effects").json()["counts"]
    return int(counts.get("close_position", 0))


@pytest.mark.parametrize(
    ("kind", "error", "had"),
    [
        ("drop_before_effect", httpx.ReadError, 0),
        ("drop_after_effect", httpx.ReadError, 1),
        ("truncated_body", httpx.RemoteProtocolError, 1),
    ],
)
def test_over_tcp_the_connection_really_fails(served: Served, kind: str, error: type[Exception], had: int):
    before = effects(served)
    arm(served, kind, "close_position")
    with served.client() as client, pytest.raises(error):
        client.request("DELETE", f"{POSITIONS}/AAPL", json={"cancel_orders": True})
    assert effects(served) - before == had


def outcome(url: str) -> str:
    """What a new connection meets."""
    try:
        httpx.get(f"{url}/paper/clock", verify=False)  # there is no TLS, and authorities take long to load
    except httpx.ConnectError:
        return "refused"
    return "answered"


def until(url: str, wanted: str) -> None:
    """Tries until it meets what is wanted; nothing but a refusal or an answer may be met meanwhile."""
    between = threading.Event()  # never set: it leaves the processor to others for a moment
    assert wanted in (outcome(url) for _ in range(10_000) if not between.wait(0.02))


def test_over_tcp_what_is_asked_after_a_refusal_is_acknowledged_is_refused_every_time(served: Served):
    for _ in range(15):
        arm(served, "refuse", seconds=0.5)  # a busy machine takes a while to ask
        assert outcome(served.url) == "refused"
        until(served.url, "answered")


def test_over_tcp_a_connection_that_is_kept_open_does_not_escape_a_refusal(served: Served):
    with served.client() as client:
        client.get(POSITIONS)
        client.post("/paper/faults", json={"kind": "refuse", "seconds": 0.5}).raise_for_status()
        with pytest.raises(httpx.ConnectError):
            client.get(POSITIONS)
    until(served.url, "answered")


def test_over_tcp_the_command_line_returns_once_the_server_refuses(served: Served):
    said = command("fault", "refuse", "--seconds", "0.5", data_dir=served.data_dir).stdout
    assert said.endswith("A running server refuses connections now.\n")
    assert outcome(served.url) == "refused"
    until(served.url, "answered")


def test_over_tcp_a_delay_outlasts_an_impatient_client_and_the_effect_stays(served: Served):
    before = effects(served)
    arm(served, "delay", "close_position", seconds=1.5)
    with served.client() as client, pytest.raises(httpx.ReadTimeout):
        client.request("DELETE", f"{POSITIONS}/KO", json={"cancel_orders": True}, timeout=1)
    assert effects(served) - before == 1


def test_the_command_line_lists_every_kind_and_arms_one_for_a_running_server(served: Served, tmp_path: Path):
    listing = command("fault", data_dir=tmp_path)
    assert listing.returncode == 0
    assert [line.split()[0] for line in listing.stdout.splitlines()[: len(KINDS)]] == list(KINDS)
    wrong = command("fault", "explode", data_dir=tmp_path)
    assert wrong.returncode == 2
    assert "explode" in wrong.stderr
    assert "armed: none" in command("fault", data_dir=tmp_path).stdout
