"""Halts, stated prices, dividends, splits and index options: what the market does to a book that is held through it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from paper.serving import command
from paper.support import ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.happenings import happen

TUESDAY = date(2026, 11, 24)
MONDAY_CLOSE = datetime(2026, 11, 23, 16, tzinfo=NEW_YORK)
BOOK = """
title = "Before a split"
cash = 10_000
[[underlyings]]
symbol = "F"
price = 12
[[underlyings]]
symbol = "SPX"
price = 6000
index = true
[[option_roots]]
root = "SPX"
over = "SPX"
settles = "open"
[[option_roots]]
root = "SPXW"
over = "SPX"
[[dividends]]
symbol = "F"
day = "+30d"
amount = 0.15
[[positions]]
symbol = "F"
quantity = 105
average_price = 10
[[positions]]
symbol = "F friday+1 12 call"
quantity = -1
average_price = 0.50
[[positions]]
symbol = "F friday+1 10 put"
quantity = 3
average_price = 0.10
[[positions]]
symbol = "SPX today 5900 call"
quantity = 2
average_price = 90
[[positions]]
symbol = "SPXW today 5900 call"
quantity = -1
average_price = 90
"""


def split(exchange: PaperExchange, ratio: str) -> None:
    happen(exchange, {"what": "split", "symbol": "F", "ratio": ratio, "day": str(TUESDAY)})


def state_price(exchange: PaperExchange, symbol: str, price: str, **when: str) -> None:
    happen(exchange, {"what": "price", "symbol": symbol, "price": price, **when})


@pytest.fixture
def exchange(opened: Opening, tmp_path: Path) -> PaperExchange:
    (tmp_path / "own.toml").write_text(BOOK)
    return opened(str(tmp_path / "own.toml"))


def identity(exchange: PaperExchange) -> Decimal:
    """Cash, plus the cost of all positions, less realised profit: it never changes."""
    with exchange.reading() as moment:
        ledger = moment.ledger
        money = sum((a.cash - a.realized for a in ledger.accounts.values()), Decimal(0))
        return money + sum((h.cost for h in ledger.holdings.values()), Decimal(0))


def held(exchange: PaperExchange) -> dict[str, Decimal]:
    with exchange.reading() as moment:
        return {holding.symbol: holding.quantity for holding in moment.ledger.holdings.values()}


def cash(exchange: PaperExchange) -> Decimal:
    with exchange.reading() as moment:
        return moment.ledger.accounts[19816].cash


@pytest.mark.requirement("P-01")
@pytest.mark.parametrize(
    ("new", "old", "left"),
    [
        (4, 1, {"F": 420, "F261204C00003000": -4, "F261204P00002500": 12}),
        (2, 1, {"F": 210, "F261204C00006000": -2, "F261204P00005000": 6}),
        (3, 2, {"F": 157, "F1261204C00012000": -1, "F1261204P00010000": 3}),
        (1, 10, {"F": 10, "F1261204C00012000": -1, "F1261204P00010000": 3}),
        (7, 1, {"F": 735, "F1261204C00012000": -1, "F1261204P00010000": 3}),
    ],
)
def test_a_split_adjusts_shares_and_contracts_and_loses_no_cent(
    exchange: PaperExchange, clock: SettableClock, new: int, old: int, left: dict[str, int]
):
    before = identity(exchange)
    with exchange.reading() as moment:
        price = moment.price(moment.ledger.instruments["F"])
    split(exchange, f"{new}:{old}")
    clock.at = datetime(2026, 11, 24, 4, tzinfo=NEW_YORK)
    assert {symbol: quantity for symbol, quantity in held(exchange).items() if symbol[:2] != "SP"} == left
    assert identity(exchange) == before
    with exchange.reading() as moment:
        after = moment.price(moment.ledger.instruments["F"])
        adjusted = next(moment.ledger.instruments[symbol] for symbol in left if symbol[:2] == "F1") if old > 1 else None
    assert price is not None
    assert after is not None
    assert abs(after * new / old - price) < price / 2
    if adjusted is not None:
        assert (adjusted.underlying_symbol, adjusted.shares) == ("F", Decimal(100 * new // old))


@pytest.mark.requirement("P-01")
def test_an_adjusted_contract_delivers_its_own_shares_at_its_old_strike(exchange: PaperExchange, clock: SettableClock):
    split(exchange, "3:2")
    clock.at = datetime(2026, 11, 24, 12, tzinfo=NEW_YORK)
    shares, money, before = held(exchange)["F"], cash(exchange), identity(exchange)
    state_price(exchange, "F", "9", day="2026-12-04")
    clock.at = datetime(2026, 12, 4, 18, tzinfo=NEW_YORK)
    assert held(exchange)["F"] == shares - 150
    assert cash(exchange) - money == 1200
    assert identity(exchange) == before


@pytest.mark.requirement("P-01")
@pytest.mark.parametrize("short", [False, True])
def test_a_dividend_is_paid_on_its_ex_date_to_who_is_long_and_by_who_is_short(
    opened: Opening, clock: SettableClock, tmp_path: Path, short: bool
):
    text = BOOK.replace("quantity = 105", f"quantity = {-105 if short else 105}")
    (tmp_path / "own.toml").write_text(text)
    exchange = opened(str(tmp_path / "own.toml"))
    happen(exchange, {"what": "dividend", "symbol": "F", "amount": "0.20", "day": str(TUESDAY)})
    clock.at = datetime(2026, 11, 24, 3, 59, tzinfo=NEW_YORK)
    money, before = cash(exchange), identity(exchange)
    clock.advance(timedelta(minutes=1))
    assert cash(exchange) - money == (-21 if short else 21)
    assert identity(exchange) == before


async def test_events_are_listed_before_and_after_they_happen(exchange: PaperExchange, clock: SettableClock):
    split(exchange, "2:1")
    async with http(exchange) as client:
        before = (await client.get("/v1/instruments/F/events")).json()["data"]
        clock.at = datetime(2026, 11, 25, tzinfo=NEW_YORK)
        after = (await client.get("/v1/instruments/F/events")).json()["data"]
        only = (await client.get("/v1/instruments/F/events?event_types=DIVIDEND&to_date=2026-12-01")).json()["data"]
    assert after == before
    assert [(e["ex_date"], e["dividend_amount"]) for e in before["dividends"]] == [("2026-12-23", "0.15")]
    assert [(e["date"], e["numerator"], e["denominator"]) for e in before["splits"]] == [("2026-11-24", "2", "1")]
    assert (only["dividends"], only["splits"]) == ([], [])


@pytest.mark.parametrize(("prices", "paid"), [(("6000", "5000"), 20_000), (("5890", "7000"), 0)])
def test_an_index_option_of_the_opening_is_settled_by_it_whatever_the_close(
    opened: Opening, clock: SettableClock, tmp_path: Path, prices: tuple[str, str], paid: int
):
    clock.at = datetime(2026, 11, 23, 8, tzinfo=NEW_YORK)
    (tmp_path / "own.toml").write_text(BOOK)
    exchange = opened(str(tmp_path / "own.toml"))
    state_price(exchange, "SPX", prices[0], day="2026-11-23", at="open")
    state_price(exchange, "SPX", prices[1], day="2026-11-23")
    clock.at = datetime(2026, 11, 23, 18, tzinfo=NEW_YORK)
    with exchange.reading() as moment:
        settled = sum(m.cash for m in moment.ledger.movements if m.symbol == "SPX261123C05900000")
    assert settled == paid
    assert "SPX261123C05900000" not in held(exchange)


def test_a_stated_close_is_what_everybody_sees_and_what_expires_is_settled_by(
    exchange: PaperExchange, clock: SettableClock
):
    state_price(exchange, "SPX", "6000.50")
    clock.at = MONDAY_CLOSE
    with exchange.reading() as moment:
        assert moment.price(moment.ledger.instruments["SPX"]) == Decimal("6000.50")
    money = cash(exchange)
    clock.advance(timedelta(hours=2))
    assert "SPXW261123C05900000" not in held(exchange)
    with exchange.reading() as moment:
        settled = [m.cash for m in moment.ledger.movements if m.symbol == "SPXW261123C05900000" and m.cash]
    assert settled == [Decimal("-10050.00")]
    assert cash(exchange) < money + 2 * 100 * 600


async def test_a_halted_instrument_takes_orders_and_fills_none_until_it_resumes(
    exchange: PaperExchange, clock: SettableClock
):
    async with http(exchange) as client:
        (early,) = (await delete(client, f"{POSITIONS}/F")).json()["data"]
        happen(exchange, {"what": "halt", "symbol": "F"})
        price = by_symbol(await client.get(POSITIONS))["F"]["instrument_price"]
        (option,) = (await delete(client, f"{POSITIONS}/F261204P00010000")).json()["data"]
        clock.advance(timedelta(minutes=30))
        waiting = [(await client.get(f"{ORDERS}/{order['id']}")).json()["data"] for order in (early, option)]
        assert [(order["status"], order["filled_quantity"]) for order in waiting] == [("NEW", "0")] * 2
        assert by_symbol(await client.get(POSITIONS))["F"]["instrument_price"] == price
        happen(exchange, {"what": "resume", "symbol": "F"})
        clock.advance(timedelta(seconds=2))
        done = [(await client.get(f"{ORDERS}/{order['id']}")).json()["data"] for order in (early, option)]
    assert [order["status"] for order in done] == ["FILLED"] * 2


async def test_what_is_still_halted_at_the_close_expires(exchange: PaperExchange, clock: SettableClock):
    happen(exchange, {"what": "halt", "symbol": "F"})
    async with http(exchange) as client:
        (order,) = (await delete(client, f"{POSITIONS}/F")).json()["data"]
        clock.at = MONDAY_CLOSE
        ended = (await client.get(f"{ORDERS}/{order['id']}")).json()["data"]
    assert (ended["status"], ended["filled_quantity"]) == ("EXPIRED", "0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("halt", "NOBODY"), "the paper market has no 'NOBODY'"),
        (("resume", "AAPL"), "is not halted"),
        (("price", "AAPL", "231", "--day", "2030-01-01"), "no trading day"),
        (("price", "AAPL", "0"), "above 0"),
        (("price", "AAPL", "231", "--day", "2020-01-02"), "is past"),
        (("dividend", "AAPL", "0.24", "2020-01-02"), "is past"),
        (("split", "AAPL", "1:1", "2031-01-02"), "NEW:OLD"),
    ],
)
def test_what_cannot_happen_says_why(tmp_path: Path, arguments: tuple[str, ...], said: str):
    command("reset", "--scenario", "demo", "--day", "2029-12-31", data_dir=tmp_path)
    refused = command("market", *arguments, data_dir=tmp_path)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_the_command_line_says_what_will_happen(tmp_path: Path):
    command("reset", "--scenario", "demo", "--day", "2029-12-31", data_dir=tmp_path)
    said = {
        ("halt", "AAPL"): "AAPL is halted: orders are taken and do not fill.\n",
        ("resume", "AAPL"): "AAPL trades again.\n",
        ("price", "AAPL", "231.5"): "AAPL will close at 231.5 on 2029-12-31.\n",
        ("dividend", "AAPL", "0.24", "2030-01-02"): "AAPL pays 0.24 a share on 2030-01-02, before the session.\n",
        ("split", "AAPL", "4:1", "2030-01-03"): "AAPL splits 4:1 on 2030-01-03, before the session.\n",
    }
    for arguments, expected in said.items():
        assert command("market", *arguments, data_dir=tmp_path).stdout == expected


async def test_the_control_endpoint_lets_the_market_happen_as_the_command_does(exchange: PaperExchange):
    async with http(exchange) as client:
        said = [
            (await client.post("/paper/market", json=body)).json()["said"]
            for body in (
                {"what": "halt", "symbol": "F"},
                {"what": "resume", "symbol": "F"},
                {"what": "price", "symbol": "F", "price": "11.50"},
                {"what": "price", "symbol": "SPX", "price": 5950, "day": "2026-11-24", "at": "open"},
                {"what": "dividend", "symbol": "F", "amount": "0.25", "day": "2026-11-25"},
                {"what": "split", "symbol": "F", "ratio": "4:1", "day": "2026-11-24"},
            )
        ]
    assert said == [
        "F is halted: orders are taken and do not fill.",
        "F trades again.",
        "F will close at 11.50 on 2026-11-23.",
        "SPX will open at 5950 on 2026-11-24.",
        "F pays 0.25 a share on 2026-11-25, before the session.",
        "F splits 4:1 on 2026-11-24, before the session.",
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"what": "crash", "symbol": "F"},
        {"what": "halt"},
        {"what": "halt", "symbol": 5},
        {"what": "halt", "symbol": "F", "price": "1"},
        {"what": "price", "symbol": "F", "price": "a lot"},
        {"what": "price", "symbol": "F", "price": "NaN"},
        {"what": "price", "symbol": "F", "price": "10", "at": "noon"},
        {"what": "dividend", "symbol": "F", "amount": "0.25", "day": "tomorrow"},
        {"what": "split", "symbol": "F", "ratio": "4", "day": "2026-11-24"},
    ],
)
async def test_a_happening_that_makes_no_sense_is_refused_over_http_and_changes_nothing(
    exchange: PaperExchange, body: dict[str, object]
):
    async with http(exchange) as client:
        before = (await client.get("/paper/status")).json()
        answer = await client.post("/paper/market", json=body)
        assert (answer.status_code, (await client.get("/paper/status")).json()) == (400, before)
