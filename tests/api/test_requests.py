"""Every parameter is in its place, and every type of the API comes out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from api.loopback import AAPL, ACCOUNT, CALL, INSTRUCTION, KEY, ORDER, data, instruction, order, position, serving
from positions_mcp import __version__
from positions_mcp.domain.enums import InstructionStatus, InstructionType, OrderStatus, PositionType, SecurityType
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.instructions import InstructionRequest

ROW = InstructionRequest(
    instrument_id=CALL, instruction_type=InstructionType.EXERCISE, quantity=2, instruction_id="mine-1"
)


async def test_every_request_carries_the_bearer_and_says_who_asks():
    async with serving(data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["user-agent"] == f"positions-mcp/{__version__}"


async def test_positions_take_their_filters_in_the_query_and_answer_typed_rows():
    row = position(closing_price_date="2025-10-31", daily_unrealized_pnl_pct="-250.5", cost_basis=None)
    async with serving(data([row], next_page_token="abc", total_items=25)) as server, server.client() as client:
        page = await client.get_positions(
            ACCOUNT,
            instrument_ids=[AAPL.upper(), CALL],
            sort_by="MARKET_VALUE",
            sort_direction="DESC",
            page_size=10,
            page_token="tok/en+=",
        )
    request = server.requests[0]
    assert (request.method, request.path, request.body) == ("GET", "/v1/accounts/19816/positions", b"")
    assert request.query == {
        "instrument_ids": f"{AAPL},{CALL}",
        "sort_by": "MARKET_VALUE",
        "sort_direction": "DESC",
        "page_size": "10",
        "page_token": "tok/en+=",
    }
    held = page.data[0]
    assert (held.symbol, held.quantity, held.market_value) == ("AAPL", Decimal(100), Decimal("15050.00"))
    assert (held.instrument_type, held.position_type) == (SecurityType.COMMON_STOCK, PositionType.LONG)
    assert (held.closing_price_date, held.cost_basis) == (date(2025, 10, 31), None)
    assert held.daily_unrealized_pnl_pct == Decimal("-250.5")
    assert (page.metadata.next_page_token, page.metadata.total_items, page.status) == ("abc", 25, 200)


async def test_what_is_not_given_is_not_sent():
    async with serving(data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        await client.get_orders(ACCOUNT)
        await client.get_position_instructions(ACCOUNT)
    assert [request.target for request in server.requests] == [
        "/v1/accounts/19816/positions",
        "/v1/accounts/19816/orders",
        "/v1/accounts/19816/positions/instructions",
    ]


@pytest.mark.parametrize(
    ("given", "body"), [(True, {"cancel_orders": True}), (False, {"cancel_orders": False}), (None, {})]
)
async def test_a_close_says_in_a_json_body_what_happens_to_open_orders(given: bool | None, body: dict[str, bool]):
    async with serving(data([order()])) as server, server.client() as client:
        await client.close_position(ACCOUNT, AAPL, given)
        await client.close_positions(ACCOUNT, cancel_orders=given)
    one, every = server.requests
    assert (one.method, one.target) == ("DELETE", f"/v1/accounts/19816/positions/{AAPL}")
    assert (every.method, every.target) == ("DELETE", "/v1/accounts/19816/positions")
    assert one.json == every.json == body
    assert one.headers["content-type"] == "application/json"


async def test_a_close_answers_a_list_even_for_one_order():
    async with serving(data([order(client_order_id=None)])) as server, server.client() as client:
        answered = await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    (closing,) = answered.data
    assert (closing.id, closing.status, closing.quantity) == (ORDER, OrderStatus.PENDING_NEW, Decimal(100))
    assert closing.created_at == datetime(2025, 10, 3, 14, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("contract", "names"),
    [
        ("auto", {"instruction_id", "client_instruction_id"}),
        ("seed", {"instruction_id"}),
        ("current", {"client_instruction_id"}),
    ],
)
async def test_a_submission_is_a_bare_array_with_the_callers_key_under_the_contracts_names(
    contract: str, names: set[str]
):
    async with serving(data([instruction()])) as server, server.client(contract=contract) as client:
        await client.submit_position_instructions(ACCOUNT, [ROW, ROW.model_copy(update={"instruction_id": None})])
    request = server.requests[0]
    assert (request.method, request.target) == ("POST", "/v1/accounts/19816/positions/instructions")
    plain = {"instruction_type": "EXERCISE", "instrument_id": CALL, "quantity": "2"}
    assert request.json == [plain | dict.fromkeys(names, "mine-1"), plain]


async def test_a_cancel_names_the_servers_id_in_the_path_and_has_no_body():
    row = instruction(status="CANCEL_REQUESTED")
    async with serving(data(row)) as server, server.client() as client:
        answered = await client.cancel_position_instruction(ACCOUNT, INSTRUCTION)
    request = server.requests[0]
    assert (request.method, request.body) == ("DELETE", b"")
    assert request.target == f"/v1/accounts/19816/positions/instructions/{INSTRUCTION}"
    assert answered.data.status is InstructionStatus.CANCEL_REQUESTED


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (CALL.upper(), CALL),
        ("AAPL280121C00195000", "AAPL  280121C00195000"),
        ("aapl 280121c00195000", "AAPL  280121C00195000"),
    ],
)
async def test_instructions_can_be_asked_for_by_contract_uuid_or_osi_symbol(given: str, sent: str):
    async with serving(data([instruction()])) as server, server.client() as client:
        listed = await client.get_position_instructions(ACCOUNT, given)
    assert server.requests[0].query == {"instrument_id": sent}
    assert listed.data[0].instruction_id == "key-1"


async def test_orders_take_their_filters_in_the_query():
    async with serving(data([order()]), data(order(status="FILLED"))) as server, server.client() as client:
        await client.get_orders(
            ACCOUNT,
            order_ids=[ORDER],
            statuses=["NEW", OrderStatus.QUEUED],
            instrument_ids=[AAPL],
            underlying_instrument_ids=[AAPL, CALL],
            since=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
            until=datetime(2026, 11, 21, tzinfo=UTC),
            page_size=5,
            page_token="t",
        )
        one = await client.get_order(ACCOUNT, ORDER)
    assert server.requests[0].query == {
        "order_ids": ORDER,
        "status": "NEW,QUEUED",
        "instrument_ids": AAPL,
        "underlying_instrument_ids": f"{AAPL},{CALL}",
        "from": "2026-11-20T09:30:00+00:00",
        "to": "2026-11-21T00:00:00+00:00",
        "page_size": "5",
        "page_token": "t",
    }
    assert server.requests[1].target == f"/v1/accounts/19816/orders/{ORDER}"
    assert one.data.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 0},
        {"page_size": 1001},
        {"page_size": True},
        {"page_size": "10"},
        {"page_token": ""},
        {"page_token": "a\r\nb"},
        {"page_token": "x" * 5000},
        {"page_token": 7},
        {"sort_by": "VEGA"},
        {"sort_direction": "sideways"},
        {"instrument_ids": ["AAPL"]},
        {"instrument_ids": [f"{AAPL},{CALL}"]},
        {"instrument_ids": AAPL},
    ],
    ids=repr,
)
async def test_a_wrong_argument_is_refused_before_any_request(wrong: dict[str, object]):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(InvalidInput):
            await client.get_positions(ACCOUNT, **wrong)
        if "page_token" not in wrong:
            with pytest.raises(InvalidInput):
                client.iter_positions(ACCOUNT, **wrong)
    assert server.connections == 0


async def test_a_wrong_write_is_refused_before_any_request():
    async with serving(data([])) as server, server.client() as client:
        for cancel_orders in ("false", 0, 1, "yes"):
            with pytest.raises(InvalidInput, match="cancel_orders"):
                await client.close_position(ACCOUNT, AAPL, cancel_orders)
        for rows in ([], [ROW.model_copy(update={"quantity": 0})], [ROW.model_copy(update={"instrument_id": "AAPL"})]):
            with pytest.raises(InvalidInput):
                await client.submit_position_instructions(ACCOUNT, rows)
        invented = ROW.model_copy(update={"instruction_type": InstructionType("ABANDON")})
        with pytest.raises(InvalidInput, match="ABANDON"):
            await client.submit_position_instructions(ACCOUNT, [invented])
        with pytest.raises(InvalidInput, match="time zone"):
            await client.get_orders(ACCOUNT, since=datetime(2026, 11, 20))  # noqa: DTZ001 - the point of the test
        with pytest.raises(InvalidInput, match="GONE"):
            await client.get_orders(ACCOUNT, statuses=["GONE"])
    assert server.connections == 0
