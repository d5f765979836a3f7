"""The client as somebody uses it on its own."""

from __future__ import annotations

import inspect
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import anyio
import clearstreet
import httpx
import pytest
from pydantic import ValidationError

import positions_mcp.api as library
from api.loopback import (
    AAPL,
    ACCOUNT,
    CALL,
    KEY,
    ORDER,
    answer,
    data,
    envelope,
    instruction,
    order,
    position,
    serving,
    silence,
)
from positions_mcp.api import (
    ConfigurationError,
    InstructionRequest,
    InstructionType,
    InvalidInput,
    NothingSent,
    OutcomeUnknown,
    PositionsClient,
    PositionsError,
    ReadFailed,
    Sent,
)
from positions_mcp.domain import enums, errors

ROW = InstructionRequest(instrument_id=CALL, instruction_type=InstructionType.EXERCISE, quantity=1)


def test_everything_a_caller_names_is_exported():
    assert list(library.__all__) == sorted(library.__all__)
    assert all(hasattr(library, name) for name in library.__all__)
    raised = {"ConfigurationError", "InvalidInput", "UnsafeIdentifier", "PositionsError", "Sent"}
    of_the_api = {name for name, each in vars(errors).items() if isinstance(each, type) and _is_upstream(each)}
    values = {
        name for name, each in vars(enums).items() if isinstance(each, type) and each.__module__ == enums.__name__
    }
    assert raised | of_the_api | values - {"OpenEnum"} <= set(library.__all__)


def _is_upstream(kind: type) -> bool:
    return issubclass(kind, errors.UpstreamError)


# Parameters of the official client, and what this one calls them.
OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "get_positions": ("positions.get_positions", {}),
    "close_positions": ("positions.close_positions", {}),
    "close_position": ("positions.close_position", {}),
    "get_position_instructions": ("positions.get_position_instructions", {}),
    "submit_position_instructions": ("positions.submit_position_instructions", {}),
    "cancel_position_instruction": ("positions.cancel_position_instruction", {}),
    "get_orders": ("orders.get_orders", {"status": "statuses", "from_": "since", "to": "until"}),
    "get_order": ("orders.get_order_by_id", {}),
    "cancel_order": ("orders.cancel_open_order", {}),
    "get_option_contracts": ("instruments.get_option_contracts", {}),
    "get_snapshots": ("instrument_data.market_data.get_snapshots", {}),
    "get_account_balances": ("accounts.get_account_balances", {}),
    "get_instrument_events": (
        "instrument_data.get_instrument_events",
        {"from_date": "since", "to_date": "until"},
    ),
}
OF_ITS_TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout", "idempotency_key"}
DEPRECATED = {"underlier"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_of_an_operation_can_be_given(name: str):
    theirs, renamed = OPERATIONS[name]
    official: Any = clearstreet.AsyncClearStreet(api_key="k").v1
    for part in theirs.split("."):
        official = getattr(official, part)
    wanted = {renamed.get(each, each) for each in inspect.signature(official).parameters}
    ours = inspect.signature(getattr(PositionsClient, name)).parameters
    assert wanted - OF_ITS_TRANSPORT - DEPRECATED <= ours.keys()
    assert "timeout_s" in ours


async def test_orders_can_be_asked_for_by_everything():
    async with serving(data([order()])) as server, server.client() as client:
        await client.get_orders(
            ACCOUNT,
            symbol="BRK.B",
            instrument_type="OPTION",
            updated_at={"gte": datetime(2026, 11, 20, tzinfo=UTC), "lt": datetime(2026, 11, 21, tzinfo=UTC)},
        )
        await client.get_position_instructions(ACCOUNT, CALL, underlying_instrument_id="AAPL")
    assert [request.query for request in server.requests] == [
        {
            "symbol": "BRK.B",
            "instrument_type": "OPTION",
            "updated_at[gte]": "2026-11-20T00:00:00+00:00",
            "updated_at[lt]": "2026-11-21T00:00:00+00:00",
        },
        {"instrument_id": CALL, "underlying_instrument_id": "AAPL"},
    ]


async def test_plain_numbers_and_texts_are_enough():
    async with serving(data([position()]), data([order()]), data([instruction()])) as server, server.client() as client:
        book = await client.read_book(19816, instrument_ids=[AAPL.upper()])
        await client.close_position(19816, AAPL, cancel_orders=False)
        await client.submit_position_instructions(19816, [ROW])
    assert book.positions[0].quantity == Decimal(100)
    assert len(server.writes) == 2


SUBMIT = "submit_position_instructions"
WRONG: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], str]] = {
    "a dictionary row": (
        "submit_position_instructions",
        (ACCOUNT, [{"quantity": 1}]),
        {},
        "Row 1 of the batch is a dict",
    ),
    "one dictionary": (SUBMIT, (ACCOUNT, {"quantity": 1}), {}, "The batch is a dict"),
    "one row alone": (SUBMIT, (ACCOUNT, ROW), {}, "The batch is a InstructionRequest"),
    "a bad second row": (
        "submit_position_instructions",
        (ACCOUNT, [ROW, None]),
        {},
        "Row 2 of the batch is a NoneType",
    ),
    "a generator": (
        "submit_position_instructions",
        (ACCOUNT, (each for each in [ROW])),
        {},
        "The batch is a generator",
    ),
    "an account as text": ("get_positions", ("19816",), {}, "'19816' is not an account number"),
    "an account as a fraction": ("close_positions", (19816.0,), {}, "19816.0 is not an account number"),
    "text for a list": ("get_positions", (ACCOUNT,), {"instrument_ids": AAPL}, "instrument_ids is"),
    "a number for a list": ("get_orders", (ACCOUNT,), {"order_ids": 7}, "order_ids is 7"),
    "a status alone": ("get_orders", (ACCOUNT,), {"statuses": "NEW"}, "statuses is 'NEW'"),
    "a day for a time": ("get_orders", (ACCOUNT,), {"since": date(2026, 11, 20)}, "since is datetime.date"),
    "text for a time": ("get_orders", (ACCOUNT,), {"until": "2026-11-20"}, "until is '2026-11-20'"),
    "a bound nobody knows": ("get_orders", (ACCOUNT,), {"updated_at": {"after": 1}}, "updated_at is"),
    "a symbol of two": ("get_orders", (ACCOUNT,), {"symbol": "A,B"}, "'A,B' is not an instrument"),
    "a type nobody knows": ("get_orders", (ACCOUNT,), {"instrument_type": "BOND"}, "instrument_type is 'BOND'"),
    "text for a boolean": ("close_positions", (ACCOUNT, "false"), {}, "cancel_orders is 'false'"),
    "a number for an id": ("close_position", (ACCOUNT, 7), {}, "7 is not an instrument id"),
    "a symbol for an id": ("get_instrument_events", ("AAPL",), {}, "'AAPL' is not an instrument id"),
    "no list of contracts": ("read_option_contracts", (None,), {}, "ids is None"),
    "a contract alone": ("read_option_contracts", (AAPL,), {}, "ids is"),
    "a number for snapshots": ("read_snapshots", (5,), {}, "ids is 5"),
    "a snapshot alone": ("read_snapshots", (AAPL,), {}, "ids is"),
    "text for a fact": (
        "get_option_contracts",
        (),
        {"root": "SPX", "is_settle_on_open": "yes"},
        "is_settle_on_open is 'yes'",
    ),
    "more from a generator": (
        "get_snapshots",
        (),
        {"instrument_ids": ("AAPL" for _ in range(101))},
        "instrument_ids has 101 instruments",
    ),
    "seconds beyond all numbers": ("get_positions", (ACCOUNT,), {"timeout_s": 10**400}, "timeout_s is 1000"),
    "text for seconds": ("get_positions", (ACCOUNT,), {"timeout_s": "5"}, "timeout_s is '5'"),
    "seconds before now": ("close_positions", (ACCOUNT,), {"timeout_s": -1}, "timeout_s is -1"),
    "seconds for ever": ("get_orders", (ACCOUNT,), {"timeout_s": float("inf")}, "timeout_s is inf"),
}


@pytest.mark.parametrize(("name", "arguments", "named", "said"), WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_type_is_a_clear_error_before_any_request(
    name: str, arguments: tuple[Any, ...], named: dict[str, Any], said: str
):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(InvalidInput) as caught:
            await getattr(client, name)(*arguments, **named)
    assert said in caught.value.message
    assert caught.value.sent is Sent.NO
    assert server.connections == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": None},
        {"api_key": None},
        {"api_key": b"k.s"},
        {"write_timeout_s": "30"},
        {"read_timeout_s": None},
        {"read_budget_s": -1},
        {"connect_timeout_s": float("nan")},
        {"transport": 5},
        {"transport": httpx.HTTPTransport()},
        {"http_client": 5},
        {"http_client": httpx.Client()},
        {"clock": 5},
        {"transport": httpx.MockTransport(print), "http_client": httpx.AsyncClient()},
    ],
    ids="-".join,
)
def test_a_client_that_could_not_work_is_not_made(wrong: dict[str, Any]):
    with pytest.raises((ConfigurationError, InvalidInput)):
        PositionsClient(**{"base_url": "http://localhost", "api_key": KEY, **wrong})


@pytest.mark.parametrize("quantity", [True, False, "1_0", " 1 ", "x", "1.5", "+1", "١", 1.5, None, float("nan"), b"1"])
def test_a_quantity_is_a_whole_number_and_nothing_that_only_counts_as_one(quantity: Any):
    with pytest.raises(ValidationError, match="quantity"):
        InstructionRequest(instrument_id=AAPL, instruction_type="EXERCISE", quantity=quantity)


async def test_a_call_may_have_a_time_out_of_its_own():
    async with serving(silence) as server, server.client(read_budget_s=60, write_timeout_s=60) as client:
        with anyio.fail_after(5):
            with pytest.raises(ReadFailed, match=r"no answer within 0\.1 s"):
                await client.get_positions(ACCOUNT, timeout_s=0.1)
            with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.1 s"):
                await client.close_position(ACCOUNT, AAPL, timeout_s=0.1)
            with pytest.raises(ReadFailed, match=r"no answer within 0\.1 s"):
                _ = [each async for each in client.iter_positions(ACCOUNT, timeout_s=0.1)]
    assert len(server.writes) == 1


@pytest.mark.requirement("A-04")
async def test_a_time_out_below_the_one_of_connecting_still_means_that_nothing_left(monkeypatch: pytest.MonkeyPatch):
    async with serving(silence) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)  # which never lets anything through
        far = "https://api.example.invalid"
        async with PositionsClient(far, KEY, write_timeout_s=0.1, connect_timeout_s=30) as client:
            with pytest.raises(NothingSent):
                await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
            with pytest.raises(NothingSent):
                await client.close_positions(ACCOUNT, cancel_orders=False, timeout_s=0.05)
    assert {request.method for request in proxy.requests} == {"CONNECT"}


async def test_a_closed_client_raises_from_the_tree_and_sends_nothing():
    async with serving(data([])) as server:
        async with server.client() as client:
            await client.get_positions(ACCOUNT)
        with pytest.raises(NothingSent, match="Nothing was sent: this client is closed"):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
        with pytest.raises(ReadFailed, match="this client is closed") as caught:
            await client.read_book(ACCOUNT)
        assert caught.value.sent is Sent.NO
        assert isinstance(caught.value, PositionsError)
        await client.aclose()
    assert len(server.requests) == 1


async def test_an_http_client_of_ones_own_sends_exactly_the_same_requests():
    options: dict[str, Any] = {
        "base_url": "https://elsewhere.example/deep/",
        "params": {"cancel_orders": "true"},
        "headers": {"Authorization": "Bearer other", "X-Own": "1"},
        "cookies": {"session": "7"},
        "auth": ("somebody", "word"),
        "follow_redirects": True,
    }
    redirect = answer(307, b"", {"Location": "/v1/accounts/19816/positions"})
    async with serving(data([position()]), data([order()]), redirect) as server, httpx.AsyncClient(**options) as own:
        async with server.client(http_client=own) as client:
            await client.get_positions(ACCOUNT, page_size=5)
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
            with pytest.raises(OutcomeUnknown, match="redirect"):
                await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
        assert not own.is_closed
    read, *closes = server.requests
    assert read.target == "/v1/accounts/19816/positions?page_size=5"
    assert {request.target for request in closes} == {f"/v1/accounts/19816/positions/{AAPL}"}
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers.keys().isdisjoint({"x-own", "cookie"})


async def test_a_closed_http_client_of_ones_own_sends_nothing():
    own = httpx.AsyncClient()
    await own.aclose()
    async with serving(data([])) as server, server.client(http_client=own) as client:
        with pytest.raises(NothingSent):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    assert server.connections == 0


@pytest.mark.requirement("A-05")
async def test_every_retry_is_logged_without_the_key(caplog: pytest.LogCaptureFixture):
    async def sleep(_: float) -> None:
        return None

    refusal = answer(503, {"message": KEY})
    with caplog.at_level(logging.INFO, logger="positions_mcp.api"):
        async with (
            serving(refusal, refusal, data(order())) as server,
            server.client(sleep=sleep, random=lambda: 1.0) as client,
        ):
            await client.get_order(ACCOUNT, ORDER)
    logged = [record.getMessage() for record in caplog.records if record.name == "positions_mcp.api"]
    path = f"GET /v1/accounts/19816/orders/{ORDER}"
    assert logged == [
        f"{path}: the answer was 503; asking again in 0.25 s (attempt 2)",
        f"{path}: the answer was 503; asking again in 0.50 s (attempt 3)",
    ]
    assert KEY not in caplog.text


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "//v1//"])
async def test_a_version_at_the_end_of_the_base_url_is_not_sent_twice(tail: str):
    async with serving(data([])) as server, PositionsClient(server.url + tail, KEY) as client:
        await client.get_positions(ACCOUNT)
    assert server.requests[0].path == "/v1/accounts/19816/positions"


async def test_what_only_looks_like_a_version_is_left_alone():
    async with serving(data([])) as server, PositionsClient(f"{server.url}/gateway/apiv1", KEY) as client:
        await client.get_positions(ACCOUNT)
    assert server.requests[0].path == "/gateway/apiv1/v1/accounts/19816/positions"


async def test_no_cookie_is_looked_for_or_sent_back_and_no_address_of_a_page_stays_in_memory() -> None:
    async with serving(answer(200, envelope([position()]), headers={"Set-Cookie": "session=7"})) as server:
        async with server.client() as client:
            await client.get_positions(ACCOUNT)
            before = urlsplit.cache_info().misses
            for page in range(3):
                await client.get_positions(ACCOUNT, page_token=f"p{page}")
        assert urlsplit.cache_info().misses == before
        assert not [request for request in server.requests if "cookie" in request.headers]
