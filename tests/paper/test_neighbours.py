"""The neighbours of the positions API, read by the official SDK from the same book, strictly in its shapes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import clearstreet
import pytest
from clearstreet import ClearStreet

from paper.serving import Served, serving
from positions_mcp.paper import DEFAULT_KEY

ACCOUNT = 19816
IN_SESSION = "2030-11-25T11:00:00-05:00"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("neighbours"), "demo") as running:
        running.set_clock(set=IN_SESSION)
        yield running


@pytest.fixture
def sdk(served: Served) -> Iterator[ClearStreet]:
    options: dict[str, Any] = {"_strict_response_validation": True, "max_retries": 0}
    with ClearStreet(api_key=DEFAULT_KEY, base_url=served.url, **options) as client:
        yield client


@pytest.mark.requirement("P-04")
def test_what_a_script_reads_before_it_closes_something_is_of_one_book(served: Served, sdk: ClearStreet):
    served.begin_again("expiry")
    with served.client() as client:
        now = client.get("/paper/clock").json()["now"]
    served.set_clock(set=now)
    (account,) = sdk.v1.accounts.get_accounts().data
    assert (account.id, account.status) == (ACCOUNT, "ACTIVE")
    assert account.to_dict().items() <= sdk.v1.accounts.get_account_by_id(ACCOUNT).data.to_dict().items()
    assert sdk.v1.calendar.get_clock().data.clock == datetime.fromisoformat(now)
    held = {row.symbol: row for row in sdk.v1.positions.get_positions(ACCOUNT).data}
    money = sdk.v1.accounts.get_account_balances(ACCOUNT).data
    values = [Decimal(row.market_value) for row in held.values()]
    assert Decimal(money.long_market_value) == sum(value for value in values if value > 0)
    assert Decimal(money.short_market_value or 0) == sum(value for value in values if value < 0)
    assert Decimal(money.equity) == Decimal(money.trade_cash) + sum(values)
    assert Decimal(money.daily_pnl) == Decimal(money.daily_realized_pnl) + Decimal(money.daily_unrealized_pnl)
    shares = [row for row in held.values() if row.instrument_type == "COMMON_STOCK"]
    for snapshot in sdk.v1.instrument_data.market_data.get_snapshots(instrument_ids=[r.symbol for r in shares]).data:
        assert snapshot.last_trade is None or snapshot.last_trade.price == held[snapshot.symbol].instrument_price
        assert snapshot.session.previous_close == held[snapshot.symbol].closing_price
    options = [row for row in held.values() if row.instrument_type == "OPTION" and row.symbol]
    contracts = sdk.v1.instruments.get_option_contracts(contract_ids=[row.symbol for row in options]).data
    assert {contract.id for contract in contracts} == {row.instrument_id for row in options}
    assert {contract.underlying_instrument_id for contract in contracts} <= {
        instrument.id for instrument in sdk.v1.instruments.get_instruments(instrument_type="COMMON_STOCK").data
    }


def test_a_days_profit_of_an_account_is_what_its_money_and_positions_changed_by(served: Served, sdk: ClearStreet):
    served.begin_again("demo")
    served.set_clock(set=IN_SESSION)
    before = sdk.v1.accounts.get_account_balances(ACCOUNT).data
    sdk.v1.positions.close_position("KO", account_id=ACCOUNT, cancel_orders=True)
    served.set_clock(advance_seconds=2)
    after = sdk.v1.accounts.get_account_balances(ACCOUNT).data
    assert after.sod == before.sod
    assert Decimal(after.daily_change) == Decimal(after.equity) - Decimal(after.sod.equity)
    assert Decimal(after.unsettled_credits) == Decimal(after.trade_cash) - Decimal(before.trade_cash)
    assert after.settled_cash == before.settled_cash


def test_every_fill_is_an_execution_and_they_add_up_to_the_order(served: Served, sdk: ClearStreet):
    served.begin_again("demo")
    served.set_clock(set=IN_SESSION)
    (order,) = sdk.v1.positions.close_position("KO", account_id=ACCOUNT, cancel_orders=True).data
    served.set_clock(advance_seconds=2)
    fills = sdk.v1.orders.get_executions(ACCOUNT, order_ids=[order.id]).data
    done = sdk.v1.orders.get_order_by_id(order.id, account_id=ACCOUNT).data
    assert sum(Decimal(fill.quantity) for fill in fills) == Decimal(done.filled_quantity) == Decimal(done.quantity)
    paid = sum(Decimal(fill.quantity) * Decimal(fill.price or 0) for fill in fills)
    assert paid / Decimal(done.quantity) == Decimal(done.average_fill_price or 0)
    assert [fill.transaction_time for fill in fills] == sorted((f.transaction_time for f in fills), reverse=True)
    assert sdk.v1.orders.get_executions(ACCOUNT, instrument_ids=["AAPL"]).data == []
    page = sdk.v1.orders.get_executions(ACCOUNT, page_size=1)
    rest = sdk.v1.orders.get_executions(ACCOUNT, page_token=page.metadata.next_page_token or "")
    assert [*page.data, *rest.data] == fills


@pytest.mark.requirement("P-02")
def test_a_cancelled_order_ends_a_moment_later_and_only_once(served: Served, sdk: ClearStreet):
    served.begin_again("demo")
    served.set_clock(set=IN_SESSION)
    (order,) = sdk.v1.positions.close_position("KO", account_id=ACCOUNT, cancel_orders=True).data
    assert sdk.v1.orders.cancel_open_order(order.id, account_id=ACCOUNT).data.status == "PENDING_CANCEL"
    with pytest.raises(clearstreet.ConflictError):
        sdk.v1.orders.cancel_open_order(order.id, account_id=ACCOUNT)
    served.set_clock(advance_seconds=2)
    assert sdk.v1.orders.get_order_by_id(order.id, account_id=ACCOUNT).data.status == "CANCELED"
    with pytest.raises(clearstreet.NotFoundError):
        sdk.v1.orders.cancel_open_order("00000000-0000-0000-0000-000000000001", account_id=ACCOUNT)
    held = {row.symbol: row for row in sdk.v1.positions.get_positions(ACCOUNT).data}
    assert held["KO"].available_quantity == held["KO"].quantity


def test_the_first_contract_cancels_no_order(tmp_path: Path):
    with serving(tmp_path, "demo", contract="seed") as seed, seed.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert "delete" not in paths["/v1/accounts/{account_id}/orders/{order_id}"]
        placed = client.request("DELETE", f"/v1/accounts/{ACCOUNT}/positions/KO", json={"cancel_orders": True}).json()
        refused = client.delete(f"/v1/accounts/{ACCOUNT}/orders/{placed['data'][0]['id']}")
        assert refused.status_code == 404


def test_what_fills_while_its_cancel_is_under_way_stays_filled(served: Served, sdk: ClearStreet):
    served.begin_again("demo")
    served.set_clock(set=IN_SESSION)
    (order,) = sdk.v1.positions.close_position("KO", account_id=ACCOUNT, cancel_orders=True).data
    served.set_clock(advance_seconds="0.9")
    sdk.v1.orders.cancel_open_order(order.id, account_id=ACCOUNT)
    served.set_clock(advance_seconds=2)
    ended = sdk.v1.orders.get_order_by_id(order.id, account_id=ACCOUNT).data
    assert (ended.status, ended.filled_quantity, ended.leaves_quantity) == ("CANCELED", "200", "0")


def test_the_hours_of_a_day_say_whether_it_is_one(served: Served, sdk: ClearStreet):
    served.begin_again("demo")
    served.set_clock(set=IN_SESSION)
    shares, options = sdk.v1.calendar.get_market_hours_calendar().data
    assert (shares.status.is_open, shares.status.current_session, options.market) == (True, "regular", "us_options")
    assert shares.today_sessions.regular
    assert shares.today_sessions.regular.time_until_close == "PT5H0M0S"
    days = {"2030-11-28": "HOLIDAY", "2030-11-29": "EARLY_CLOSE", "2030-11-30": "WEEKEND", "2030-12-02": "TRADING_DAY"}
    for day, kind in days.items():
        (hours,) = sdk.v1.calendar.get_market_hours_calendar(date=day, market="us_equities").data
        assert (hours.status.day_type, hours.date) == (kind, date.fromisoformat(day))
        assert (hours.today_sessions.regular is None) == (kind in ("HOLIDAY", "WEEKEND"))


def test_orders_are_not_taken_and_the_answer_says_what_is(sdk: ClearStreet):
    order: dict[str, Any] = {
        "instrument_id": "AAPL",
        "order_type": "MARKET",
        "quantity": "1",
        "side": "BUY",
        "time_in_force": "DAY",
    }
    with pytest.raises(clearstreet.APIStatusError, match="takes no orders") as refused:
        sdk.v1.orders.submit_orders(ACCOUNT, orders=[order])  # type: ignore[list-item]
    assert refused.value.status_code == 405
    assert refused.value.response.headers["allow"] == "GET"


READS = {
    "get_accounts": "/v1/accounts",
    "get_account": f"/v1/accounts/{ACCOUNT}",
    "get_balances": f"/v1/accounts/{ACCOUNT}/balances",
    "get_executions": f"/v1/accounts/{ACCOUNT}/executions",
    "get_clock": "/v1/clock",
    "get_market_hours": "/v1/calendars/market-hours",
    "get_instruments": "/v1/instruments",
    "get_instrument": "/v1/instruments/AAPL",
    "get_instrument_events": "/v1/instruments/AAPL/events",
    "get_option_contracts": "/v1/instruments/options/contracts",
    "get_snapshots": "/v1/market-data/snapshot?instrument_ids=AAPL",
    "get_orders": f"/v1/accounts/{ACCOUNT}/orders",
}


@pytest.mark.parametrize(("operation", "path"), READS.items())
def test_each_neighbour_can_be_refused_and_answers_again(served: Served, operation: str, path: str):
    with served.client() as client:
        for status in (403, 404, 503):
            armed = client.post("/paper/faults", json={"kind": f"status_{status}", "operation": operation})
            assert armed.status_code == 200, armed.text
            assert client.get(path).status_code == status
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (200, None)


@pytest.mark.parametrize("path", READS.values())
def test_a_filter_that_is_not_known_is_an_error_and_never_dropped(served: Served, path: str):
    if path.endswith("/orders"):
        return
    with served.client() as client:
        refused = client.get(f"{path}{'&' if '?' in path else '?'}colour=red")
    assert refused.status_code == 400
    assert "colour" in refused.text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/market-data/snapshot", "required"),
        (f"/v1/market-data/snapshot?instrument_ids={','.join(['AAPL'] * 101)}", "at most 100"),
        ("/v1/market-data/snapshot?instrument_ids=AAPL&expiry=2030-11-29", "not both"),
        (f"/v1/instruments/options/contracts?contract_ids={','.join(['AAPL'] * 101)}", "at most 100"),
        ("/v1/instruments/options/contracts?contract_ids=AAPL&root=AAPL", "not both"),
        ("/v1/instruments/options/contracts?expiry=soon", "a date"),
        ("/v1/instruments/AAPL/events?event_types=BALL", "EARNINGS"),
        ("/v1/instruments/AAPL/events?from_date=2030-01-02&to_date=2030-01-01", "not after"),
        ("/v1/calendars/market-hours?market=moon", "us_equities"),
        ("/v1/instruments?is_ptp=perhaps", "true, false"),
    ],
)
def test_what_a_neighbour_cannot_answer_is_said(served: Served, path: str, said: str):
    with served.client() as client:
        refused = client.get(path)
    assert refused.status_code == 400
    assert said in refused.text


def test_what_is_not_known_has_no_row_or_is_not_found(served: Served):
    with served.client() as client:
        assert (
            client.get("/v1/market-data/snapshot?instrument_ids=NOBODY,AAPL,AAPL").json()["data"][0]["symbol"] == "AAPL"
        )
        assert client.get("/v1/instruments/options/contracts?contract_ids=AAPL").json()["data"] == []
        assert client.get("/v1/instruments/NOBODY").status_code == 404
        assert client.get("/v1/instruments/NOBODY/events").status_code == 404
        assert client.get("/v1/accounts/4711/balances").status_code == 403
        assert client.get("/v1/accounts/0/balances").status_code == 403
