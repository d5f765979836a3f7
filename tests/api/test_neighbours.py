"""What lies beside positions is read as tolerantly, and what is refused is not known, never a failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.loopback import AAPL, ACCOUNT, CALL, ORDER, Received, Script, answer, data, order, serving
from positions_mcp.domain.account.market import next_dividend
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.enums import ExerciseStyle, ListingType, MarginType, OrderStatus
from positions_mcp.domain.errors import InvalidInput, NotFound, ReadFailed

CONTRACT = {
    "id": CALL,
    "symbol": "AAPL  280121C00195000",
    "contract_type": "CALL",
    "currency": "USD",
    "exchange": "OPRA",
    "exercise_style": "AMERICAN",
    "expiry": "2028-01-21",
    "is_liquidation_only": False,
    "is_marginable": True,
    "is_tradable": True,
    "listing_type": "STANDARD",
    "multiplier": "100",
    "strike_price": "195",
    "is_settle_on_open": False,
    "last_trade_cutoff": "2028-01-21T21:00:00Z",
    "open_interest": 1200,
    "underlying_instrument_id": AAPL,
}
SNAPSHOT = {
    "instrument_id": AAPL,
    "symbol": "AAPL",
    "last_trade": {"price": "190.500", "size": 100, "timestamp": "2026-11-20T19:30:00.123456789Z", "venue": "XNAS"},
    "last_quote": {
        "bid": "190.49",
        "ask": "190.51",
        "midpoint": "190.50",
        "bid_timestamp": "2026-11-20T19:30:01Z",
        "ask_timestamp": "2026-11-20T19:29:59Z",
    },
    "session": {"ohlv_applicable": True, "previous_close": "188.1234", "previous_close_unadjusted": "188.36"},
    "greeks": None,
}
BALANCES = {
    "account_id": ACCOUNT,
    "buying_power": "40000.10",
    "equity": "20000",
    "settled_cash": "-12.5",
    "trade_cash": "100.00",
    "margin_type": "REG_T",
    "multiplier": "4",
    "daily_pnl": "-55.01",
    "daily_realized_pnl": "0",
    "sod": {"equity": "1"},
}
EVENTS: dict[str, Any] = {
    "instrument_id": AAPL,
    "dividends": [
        {"ex_date": "2026-11-09", "adjusted_dividend_amount": "0.26", "dividend_amount": "0.26"},
        {"ex_date": "2026-08-10", "adjusted_dividend_amount": "0.26", "dividend_amount": None},
        {"ex_date": "2027-02-08", "adjusted_dividend_amount": "0.27"},
    ],
    "earnings": [{"date": "2026-10-30"}],
    "ipos": [],
    "splits": [],
}


@dataclass
class Day:
    """A clock that a test sets."""

    at: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def uuid(number: int) -> str:
    return f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}"


async def test_facts_of_a_contract_are_read_by_its_id():
    async with serving(data([CONTRACT])) as server, server.client() as client:
        facts = (await client.read_option_contracts([CALL]))[CALL]
    assert server.requests[0].target == f"/v1/instruments/options/contracts?contract_ids={CALL}"
    assert (facts.exercise_style, facts.is_settle_on_open) == (ExerciseStyle.AMERICAN, False)
    assert facts.last_trade_cutoff == datetime(2028, 1, 21, 21, tzinfo=UTC)
    assert (facts.multiplier, facts.underlying_instrument_id) == (Decimal(100), AAPL)
    assert (facts.is_tradable, facts.listing_type, facts.expiry) == (True, ListingType.STANDARD, date(2028, 1, 21))
    assert facts.strike_price == 195


@pytest.mark.requirement("A-02")
@pytest.mark.parametrize("nothing", [None, "", "soon"])
async def test_a_fact_that_is_missing_or_makes_no_sense_is_not_known(nothing: str | None):
    names = ("is_settle_on_open", "last_trade_cutoff", "multiplier", "is_tradable", "open_interest", "expiry")
    async with serving(data([CONTRACT | dict.fromkeys(names, nothing)])) as server, server.client() as client:
        facts = (await client.read_option_contracts([CALL]))[CALL]
    assert [getattr(facts, name) for name in names] == [None] * len(names)
    assert facts.exercise_style is ExerciseStyle.AMERICAN


async def test_facts_are_kept_until_the_new_york_day_ends():
    day = Day()
    async with serving(data([CONTRACT])) as server, server.client(clock=day) as client:
        await client.read_option_contracts([CALL])
        day.at = datetime(2026, 11, 21, 4, 59, tzinfo=UTC)
        await client.read_option_contracts([CALL, CALL])
        assert len(server.requests) == 1
        day.at += timedelta(minutes=1)
        await client.read_option_contracts([CALL])
    assert len(server.requests) == 2


async def test_a_contract_that_the_api_does_not_know_is_missing_and_asked_for_again():
    async with serving(data([]), data([CONTRACT])) as server, server.client() as client:
        assert await client.read_option_contracts([CALL]) == {}
        assert set(await client.read_option_contracts([CALL])) == {CALL}


async def test_lookups_name_at_most_a_hundred_and_follow_pages():
    def contracts(request: Received) -> Any:
        asked = request.query["contract_ids"].split(",")
        assert len(asked) <= 100
        half = asked[:60] if "page_token" not in request.query else asked[60:]
        more = "next" if "page_token" not in request.query and len(asked) > 60 else None
        return data([CONTRACT | {"id": each} for each in half], next_page_token=more, total_items=7)

    ids = [uuid(number) for number in range(150)]
    async with serving(Script(contracts)) as server, server.client() as client:
        assert list(await client.read_option_contracts(ids)) == ids
    assert len(server.requests) == 3


async def test_a_snapshot_has_its_prices_with_their_times():
    async with serving(data([SNAPSHOT])) as server, server.client() as client:
        snapshot = (await client.read_snapshots([AAPL, CALL]))[AAPL]
    assert server.requests[0].target == f"/v1/market-data/snapshot?instrument_ids={AAPL}%2C{CALL}"
    assert (str(snapshot.price), snapshot.previous_close) == ("190.500", Decimal("188.36"))
    assert snapshot.priced_at == datetime(2026, 11, 20, 19, 30, 0, 123456, tzinfo=UTC)
    assert snapshot.last_quote is not None
    assert snapshot.last_quote.midpoint == Decimal("190.50")
    assert snapshot.last_quote.timestamp == datetime(2026, 11, 20, 19, 29, 59, tzinfo=UTC)


@pytest.mark.parametrize("trade", [None, {}, {"price": "0", "timestamp": "2026-11-20T19:30:00Z"}, {"price": "-1"}, "x"])
async def test_no_trade_or_no_positive_price_is_no_price(trade: object):
    async with serving(data([SNAPSHOT | {"last_trade": trade}])) as server, server.client() as client:
        snapshot = (await client.read_snapshots([AAPL]))[AAPL]
    assert (snapshot.price, snapshot.priced_at) == (None, None)


@pytest.mark.requirement("A-02")
async def test_one_bad_number_within_costs_that_number_alone():
    greeks = {"delta": "0.5", "theta": "n/a", "iv": "0", "gamma": "1e999999999", "rho": None, "vega": 0.12}
    quote = {"bid": "190.49", "ask": "", "bid_timestamp": "yesterday"}
    row = SNAPSHOT | {"greeks": greeks, "last_quote": quote}
    async with serving(data([row])) as server, server.client() as client:
        snapshot = (await client.read_snapshots([AAPL]))[AAPL]
    assert snapshot.greeks is not None
    assert (snapshot.greeks.delta, snapshot.greeks.theta, snapshot.greeks.gamma) == (Decimal("0.5"), None, None)
    assert str(snapshot.greeks.vega) == "0.12"
    assert snapshot.greeks.model_extra is not None
    assert snapshot.greeks.model_extra["unreadable_fields"]["theta"] == "n/a"
    assert snapshot.last_quote is not None
    assert (snapshot.last_quote.bid, snapshot.last_quote.ask) == (Decimal("190.49"), None)
    assert snapshot.last_quote.timestamp is None


async def test_balances_are_exact_and_of_the_account_asked_for():
    async with (
        serving(data(BALANCES), data(BALANCES | {"account_id": 777})) as server,
        server.client() as client,
    ):
        balances = await client.read_balances(ACCOUNT)
        with pytest.raises(ReadFailed, match="another account"):
            await client.get_account_balances(ACCOUNT, top_margin_contributors_limit=3)
    assert [request.target for request in server.requests] == [
        "/v1/accounts/19816/balances",
        "/v1/accounts/19816/balances?top_margin_contributors_limit=3",
    ]
    assert (str(balances.buying_power), balances.settled_cash) == ("40000.10", Decimal("-12.5"))
    assert (balances.margin_type, balances.multiplier) == (MarginType.REG_T, Decimal(4))
    assert (balances.daily_pnl, balances.daily_realized_pnl) == (Decimal("-55.01"), Decimal(0))
    assert balances.daily_unrealized_pnl is None


async def test_dividends_come_by_ex_date_within_the_days_asked_for():
    async with serving(data(EVENTS)) as server, server.client() as client:
        dividends = await client.read_dividends(AAPL, since=date(2026, 11, 1), until=date(2027, 3, 1))
    assert server.requests[0].path == f"/v1/instruments/{AAPL}/events"
    assert server.requests[0].query == {
        "event_types": "DIVIDEND",
        "from_date": "2026-11-01",
        "to_date": "2027-03-01",
    }
    assert [(each.ex_date, each.amount) for each in dividends] == [
        (date(2026, 11, 9), Decimal("0.26")),
        (date(2027, 2, 8), Decimal("0.27")),
    ]
    assert next_dividend(dividends, date(2026, 11, 8)) == dividends[0]
    assert next_dividend(dividends, date(2026, 11, 9)) == dividends[1]
    assert next_dividend(dividends, date(2027, 2, 8)) is None


@pytest.mark.parametrize(
    "events",
    [
        EVENTS | {"dividends": None},
        EVENTS | {"dividends": [{"ex_date": "soon"}]},
        EVENTS | {"instrument_id": CALL},
        {},
    ],
    ids=["no list", "a day that is none", "another instrument", "nothing"],
)
async def test_dividends_that_cannot_be_read_are_no_empty_list(events: object):
    async with serving(data(events)) as server, server.client() as client:
        with pytest.raises(ReadFailed):
            await client.read_dividends(AAPL)


REFUSALS = {
    "403": answer(403, {"code": 7, "message": "not entitled to market data"}),
    "404": answer(404, b""),
    "500": answer(500, b"<html>"),
    "not JSON": answer(200, b"<html>"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_is_not_known_and_stops_nothing(refusal: Any):
    async with serving(refusal) as server, server.client() as client:
        readings = [
            await known("option contracts", client.read_option_contracts([CALL])),
            await known("market data", client.read_snapshots([CALL])),
            await known("balances", client.read_balances(ACCOUNT)),
            await known("dividends", client.read_dividends(AAPL)),
        ]
    assert all(isinstance(each, NotKnown) for each in readings)
    assert str(readings[0]).startswith("option contracts not known: The API at http")


async def test_what_nobody_reads_is_not_known():
    assert str(await known("balances", None)) == "balances not known: this server does not read it."


async def test_an_api_that_does_not_come_round_is_not_known_after_five_seconds():
    elapsed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal elapsed
        elapsed += seconds

    refusal = answer(503, {"message": "later"})
    async with (
        serving(refusal) as server,
        server.client(sleep=sleep, monotonic=lambda: elapsed, random=lambda: 1.0) as client,
    ):
        assert isinstance(await known("balances", client.read_balances(ACCOUNT)), NotKnown)
    assert 3 < elapsed <= 5


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"contract_ids": [CALL], "root": "AAPL"},
        {"contract_ids": CALL},
        {"contract_ids": [f"{CALL},{AAPL}"]},
        {"contract_ids": [uuid(number) for number in range(101)]},
        {"root": "AAPL,MSFT"},
        {"root": "AAPL", "contract_type": "STRADDLE"},
        {"root": "AAPL", "expiry": "2028-01-21"},
        {"root": "AAPL", "expiry": datetime(2028, 1, 21, tzinfo=UTC)},
        {"root": "AAPL", "page_size": 0},
    ],
    ids=repr,
)
async def test_a_wrong_lookup_of_contracts_is_refused_before_any_request(wrong: dict[str, Any]):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(InvalidInput):
            await client.get_option_contracts(**wrong)
    assert server.connections == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"instrument_ids": []},
        {"instrument_ids": ["A B,C"]},
        {"instrument_ids": [7]},
        {"instrument_ids": ["AAPL"], "underlying_instrument_id": AAPL, "expiry": date(2028, 1, 21)},
        {"underlying_instrument_id": AAPL},
        {"instrument_ids": ["AAPL"], "expiry": date(2028, 1, 21)},
    ],
    ids=repr,
)
async def test_a_wrong_question_for_snapshots_is_refused_before_any_request(wrong: dict[str, Any]):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(InvalidInput):
            await client.get_snapshots(**wrong)
    assert server.connections == 0


async def test_the_other_ways_to_look_up_are_sent_as_the_api_has_them():
    async with serving(data([])) as server, server.client() as client:
        await client.get_option_contracts(
            root="SPXW", contract_type="PUT", expiry=date(2026, 11, 27), is_settle_on_open=False, page_size=10
        )
        await client.get_snapshots(instrument_ids=["BRK.B", "aapl280121c00195000"])
        await client.get_snapshots(underlying_instrument_id="SPX", expiry=date(2026, 11, 27))
    assert [request.query for request in server.requests] == [
        {
            "root": "SPXW",
            "contract_type": "PUT",
            "expiry": "2026-11-27",
            "is_settle_on_open": "false",
            "page_size": "10",
        },
        {"instrument_ids": "BRK.B,AAPL  280121C00195000"},
        {"underlying_instrument_id": "SPX", "expiry": "2026-11-27"},
    ]


async def test_an_order_that_the_api_does_not_know_is_none_and_other_failures_are_not():
    async with (
        serving(
            answer(404, {"message": "no such order"}),
            answer(404, {"message": "no such order"}),
            data(order(status="FILLED")),
            answer(403, {"message": "no"}),
        ) as server,
        server.client() as client,
    ):
        assert await client.find_order(ACCOUNT, ORDER) is None
        with pytest.raises(NotFound, match="no such order"):
            await client.get_order(ACCOUNT, ORDER)
        found = await client.find_order(ACCOUNT, ORDER)
        assert found is not None
        assert found.status is OrderStatus.FILLED
        assert isinstance(await known("the order", client.find_order(ACCOUNT, ORDER)), NotKnown)


@pytest.mark.parametrize("other", [{"account_id": 777}, {"id": uuid(9)}], ids=repr)
async def test_an_order_that_was_not_asked_for_is_no_answer(other: dict[str, object]):
    async with serving(data(order(**other))) as server, server.client() as client:
        with pytest.raises(ReadFailed, match="another order"):
            await client.get_order(ACCOUNT, ORDER)


async def test_orders_are_read_with_every_filter_over_every_page():
    pages = [data([order()], next_page_token="2", total_items=2), data([order(id=uuid(2))], total_items=2)]
    async with serving(*pages) as server, server.client() as client:
        orders = await client.read_orders(
            ACCOUNT,
            order_ids=[ORDER],
            statuses=[OrderStatus.NEW, OrderStatus.QUEUED],
            instrument_ids=[CALL],
            underlying_instrument_ids=[AAPL],
            since=datetime(2026, 11, 20, tzinfo=UTC),
            until=datetime(2026, 11, 21, tzinfo=UTC),
        )
    assert [each.id for each in orders] == [ORDER, uuid(2)]
    first, second = (request.query for request in server.requests)
    assert first == {
        "order_ids": ORDER,
        "status": "NEW,QUEUED",
        "instrument_ids": CALL,
        "underlying_instrument_ids": AAPL,
        "from": "2026-11-20T00:00:00+00:00",
        "to": "2026-11-21T00:00:00+00:00",
    }
    assert second == first | {"page_token": "2"}
