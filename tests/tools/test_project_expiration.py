"""`project_expiration` through an MCP client, in both protocol eras, over the paper exchange."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from positions_mcp.domain.account.sessions import NEW_YORK
from tools.expiry_day import AAPL, afternoon
from tools.serving import StubBroker, call, data_of, error_of, held, server_over, text_of
from trading import trading_floor

pytestmark = pytest.mark.requirement("I-06")

EVENING = datetime(2026, 11, 20, 18, 0, tzinfo=NEW_YORK)


def rows(data: dict[str, Any], what: str) -> dict[str, dict[str, str]]:
    columns = data[f"{what}_columns"]
    return {row[0]: dict(zip(columns, row, strict=True)) for row in data[f"{what}s"]}


async def test_what_it_says_is_what_the_exchange_has_booked_that_evening(tmp_path: Path, era: str) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        answer = await client.call_tool("project_expiration", {})
        with floor.exchange.reading() as moment:
            before = moment.ledger.accounts[19816].cash
            closes = {
                symbol: moment.market.price(instrument, instrument, EVENING.replace(hour=16))
                for symbol, instrument in moment.ledger.instruments.items()
                if instrument.contract is None
            }
        prices = [{"symbol": symbol, "price": str(price)} for symbol, price in closes.items() if price]
        supposed = data_of(await client.call_tool("project_expiration", {"prices": prices}))
        floor.exchange.clock.set(EVENING)
        with floor.exchange.reading() as moment:
            held_then = {symbol: holding.quantity for (_, symbol), holding in moment.ledger.holdings.items()}
            cash = moment.ledger.accounts[19816].cash - before
    assert data_of(answer)["day"] == "2026-11-20"
    assert data_of(answer)["until"] == "2026-11-20 17:30 New York"
    assert data_of(answer)["settles"] == "Mon 2026-11-23 (T+1)"
    assert "Settles Mon 2026-11-23 (T+1)." in text_of(answer)
    assert "The close at 16:00 New York decides." in text_of(answer)
    for name, row in rows(supposed, "underlying").items():
        assert row["basis"] == "given"
        assert _contains(row["shares_after"], held_then.get(name, Decimal(0)))
    assert _contains(supposed["cash"], cash)


def _contains(cell: str, value: Decimal) -> bool:
    least, _, most = cell.partition(" to ")
    return Decimal(least) <= value <= Decimal(most or least)


async def test_text_and_data_each_say_what_becomes_of_every_option(tmp_path: Path, era: str) -> None:
    async with afternoon(tmp_path, era) as (_, client):
        answer = await client.call_tool("project_expiration", {"underlying": "aapl", "prices": []})
    data = data_of(answer)
    option = rows(data, "option")[AAPL]
    assert list(rows(data, "underlying")) == ["AAPL"]
    assert (option["quantity"], option["by_exception"], option["lapse"]) == ("5", "5", "0")
    assert f"220C {option['quantity']} exercised by exception" in text_of(answer)
    assert any("the broker may close, or not exercise" in each for each in data["not_known"])
    assert "the broker may close, or not exercise" in text_of(answer)


async def test_what_neighbours_refuse_is_not_known_and_stops_nothing(era: str) -> None:
    stock = "a1a2a3a4-b1b2-c1c2-d1d2-000000000009"
    broker = StubBroker(positions=[held("AAPL261120C00240000", "1", number=2, underlying_instrument_id=stock)])
    answer = await call(server_over(broker), "project_expiration", era=era)
    assert "the price of an underlying" in text_of(answer)
    assert "buying power" in text_of(answer)
    assert [row[3] for row in data_of(answer)["underlyings"]] == ["below 240.01", "from 240.01"]


async def test_cash_that_is_not_known_is_no_zero(era: str) -> None:
    adjusted = held("AAPL1261120C00240000", "-1", number=2)
    data = data_of(await call(server_over(StubBroker(positions=[adjusted])), "project_expiration", era=era))
    assert "cash" not in data
    assert [row[-2:] for row in data["underlyings"]] == [["", ""]]
    assert "not in the sums, as it is not known: AAPL1261120C00240000" in data["watch"]


async def test_the_last_moment_of_what_the_opening_has_settled_is_over(era: str) -> None:
    options = [held("SPX261120C06000000", "1", number=2), held("AAPL261120C00240000", "1", number=3)]
    data = data_of(await call(server_over(StubBroker(positions=options)), "project_expiration", era=era))
    assert data["until"] == "2026-11-20 09:30 New York (passed), 2026-11-20 17:30 New York"


async def test_nothing_held_is_one_sentence(era: str) -> None:
    answer = await call(server_over(StubBroker(positions=[held("AAPL", number=1)])), "project_expiration", era=era)
    assert text_of(answer).endswith("No option is held: nothing expires.")
    assert "day" not in data_of(answer)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"day": "2026-02-30"}, "is no day"),
        ({"underlying": "MSFT"}, "Nothing on MSFT expires on 2026-11-20. Then does: AAPL."),
        ({"prices": [{"symbol": "AAPL", "price": "-1"}]}, "price"),
        ({"when": "now"}, "when"),
    ],
)
async def test_what_cannot_be_meant_is_an_error_that_says_what_to_give(
    era: str, given: dict[str, Any], said: str
) -> None:
    broker = StubBroker(positions=[held("AAPL261120C00240000", "1", number=2)])
    assert said in error_of(await call(server_over(broker), "project_expiration", given, era=era))


async def test_a_price_of_what_does_not_expire_is_said_not_to_be_used(era: str) -> None:
    broker = StubBroker(positions=[held("AAPL261120C00240000", "1", number=2)])
    prices = {"prices": [{"symbol": "TSLA", "price": "300"}, {"symbol": "aapl", "price": "250"}]}
    answer = await call(server_over(broker), "project_expiration", prices, era=era)
    assert data_of(answer)["warnings"] == ["no option on TSLA expires then: that price is not used"]
    assert [row[1:3] for row in data_of(answer)["underlyings"]] == [["250", "given"]]


async def test_of_many_underlyings_those_that_move_most_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    async with trading_floor(tmp_path, scenario="large") as floor:
        answer = await floor.call("project_expiration", {})
        data, text = data_of(answer), text_of(answer)
        shown = {row[0] for row in data["underlyings"]}
        assert 0 < len(data["options"]) <= 50
        assert len(text) < 4_000
        assert "more underlyings with" in data["left_out"]
        assert f"{data['left_out']}." in text
        with floor.exchange.reading() as moment:
            held = {moment.ledger.instruments[key[1]] for key in moment.ledger.holdings}
        day = datetime.fromisoformat(data["day"]).date()
        on = {each.underlying_symbol for each in held if each.contract and each.contract.expiry == day}
        hidden = min(on - shown)
        alone = data_of(await floor.call("project_expiration", {"underlying": hidden}))
        assert {row[0] for row in alone["underlyings"]} == {hidden}
        assert "left_out" not in alone
        assert Decimal(alone["cash"].split(" ")[0]) != Decimal(data["cash"].split(" ")[0])
