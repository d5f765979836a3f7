"""The official SDK against `paper serve` over TCP: all six operations, through an expiry afternoon."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import clearstreet
import pytest
from clearstreet import ClearStreet

from paper.serving import Served, serving
from positions_mcp.paper import DEFAULT_KEY

ACCOUNT = 19816


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("sdk"), "expiry") as running:
        yield running


@pytest.mark.requirement("P-04")
def test_a_developer_with_only_the_official_sdk_rehearses_an_expiry_day(served: Served):
    with ClearStreet(api_key=DEFAULT_KEY, base_url=served.url, max_retries=0) as sdk:
        positions = sdk.v1.positions
        held = {position.symbol: position for position in positions.get_positions(ACCOUNT).data}
        assert len(held) == 8
        call = next(position for symbol, position in held.items() if symbol.startswith("AMD") and len(symbol) > 5)
        only = positions.get_positions(ACCOUNT, instrument_ids=[call.instrument_id, held["AAPL"].instrument_id])
        assert {position.symbol for position in only.data} == {call.symbol, "AAPL"}
        page = positions.get_positions(ACCOUNT, page_size=5, sort_by="DAILY_REALIZED_PNL", sort_direction="DESC")
        rest = positions.get_positions(
            ACCOUNT,
            page_token=page.metadata.next_page_token or "",
            sort_by="DAILY_REALIZED_PNL",
            sort_direction="DESC",
        )
        assert len(page.data) + len(rest.data) == page.metadata.total_items == 8

        before = positions.get_position_instructions(ACCOUNT).data
        assert [row.client_instruction_id for row in before] == ["morning-1", "morning-2", "morning-3"]
        (sent,) = positions.submit_position_instructions(
            ACCOUNT,
            instructions=[
                {
                    "instruction_type": "CONTRARY_EXERCISE",
                    "instrument_id": call.instrument_id,
                    "quantity": "2",
                    "client_instruction_id": "sdk-1",
                }
            ],
        ).data
        assert (sent.status, sent.client_instruction_id) == ("SENT", "sdk-1")
        cancelled = positions.cancel_position_instruction(before[1].id, account_id=ACCOUNT).data
        assert cancelled.status == "CANCEL_REQUESTED"

        (order,) = positions.close_position("TSLA", account_id=ACCOUNT, cancel_orders=False).data
        assert (order.side, order.quantity, order.client_order_id) == ("SELL", "200", order.id)
        orders = positions.close_positions(ACCOUNT, cancel_orders=True).data
        assert {order.symbol for order in orders} == set(held)
        assert sdk.v1.orders.get_order_by_id(order.id, account_id=ACCOUNT).data.symbol == "TSLA"
        assert len(sdk.v1.orders.get_orders(ACCOUNT, instrument_ids=["TSLA"]).data) == 2

        served.set_clock(advance_seconds=4 * 3600)
        after = {row.id: row for row in positions.get_position_instructions(ACCOUNT).data}
        assert after[sent.id].status == "ACCEPTED"
        assert after[cancelled.id].status == "CANCELLED"
        left = {position.symbol: Decimal(position.quantity) for position in positions.get_positions(ACCOUNT).data}
        assert left["AMD"] == 200
        assert not [symbol for symbol in left if len(symbol) > 5]


def test_the_official_sdk_raises_its_own_errors(served: Served):
    with (
        ClearStreet(api_key="no.key", base_url=served.url, max_retries=0) as stranger,
        ClearStreet(api_key=DEFAULT_KEY, base_url=served.url, max_retries=0) as sdk,
    ):
        with pytest.raises(clearstreet.AuthenticationError):
            stranger.v1.positions.get_positions(ACCOUNT)
        with pytest.raises(clearstreet.PermissionDeniedError):
            sdk.v1.positions.get_positions(4711)
        with pytest.raises(clearstreet.NotFoundError):
            sdk.v1.positions.close_position("NOBODY", account_id=ACCOUNT)


@pytest.mark.requirement("P-05")
def test_the_exchange_shows_how_one_timed_out_close_of_the_sdk_becomes_several(served: Served):
    served.begin_again("demo")
    with (
        ClearStreet(api_key=DEFAULT_KEY, base_url=served.url, timeout=5) as sdk,
        served.client() as control,
    ):
        served.set_clock(set="2030-11-25T11:00:00-05:00")
        control.post("/paper/faults", json={"kind": "drop_after_effect", "operation": "close_position", "times": 2})
        sdk.v1.positions.close_position("KO", account_id=ACCOUNT, cancel_orders=True)
        assert control.get("/paper/effects").json()["counts"] == {"close_position": 3}
