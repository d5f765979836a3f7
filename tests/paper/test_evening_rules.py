"""The paper exchange's evening against a table worked by hand from the rules.

E: OCC Rule 805, exercise by exception from 0.01 in the money at the closing price, unless instructed otherwise.
F: FINRA Rule 2360(b)(23), the holder's final decision, by the last business day where expiration falls on none.
D: standard deliverable of 100 shares against the strike (Characteristics and Risks of Standardized Options).
X: cash settlement of index options by the closing level, or the opening one (Cboe product specifications).
"""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal
from pathlib import Path

import pytest

from evenings import ACCOUNT, Afternoon, Told, booked, listed_option, listed_underlying, new_york
from paper.support import POSITIONS, Opening, SettableClock, by_symbol, http
from paper.test_instructions import row, submit
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.holdings import Holding

CALL, PUT = "AAPL261120C00100000", "AAPL261120P00100000"
LATER_PUT = "AAPL261218P00100000"

TABLE = [
    ("E, D: a call 0.01 in the money is exercised", {CALL: 1}, "100.01", [], 100, -10_000),
    ("E: a call at the money lapses", {CALL: 1}, "100", [], 0, 0),
    ("E: a call 0.01 out of the money lapses", {CALL: 1}, "99.99", [], 0, 0),
    ("E, D: a put 0.01 in the money is exercised and sells", {PUT: 1}, "99.99", [], -100, 10_000),
    ("E: a put at the money lapses", {PUT: 1}, "100", [], 0, 0),
    ("E, D: a short call in the money is assigned and delivers", {CALL: -2}, "100.01", [], -200, 20_000),
    ("E, D: a short put in the money is assigned and takes", {PUT: -2}, "99.99", [], 200, -20_000),
    ("E: a short put out of the money lapses", {PUT: -2}, "100.01", [], 0, 0),
    ("D: a covered call is delivered from the shares", {"AAPL": 100, CALL: -1}, "120", [], 0, 10_000),
    ("D: a collar's put sells the shares", {"AAPL": 100, PUT: 1, "AAPL261120C00110000": -1}, "90", [], 0, 10_000),
    ("D: a vertical wider than the close nets its strikes", {CALL: 1, "AAPL261120C00105000": -1}, "110", [], 0, 500),
    ("D: between its strikes it leaves shares", {CALL: 1, "AAPL261120C00105000": -1}, "103", [], 100, -10_000),
    ("F: do-not-exercise gives up an option in the money", {CALL: 3}, "110", [("DO_NOT_EXERCISE", 2)], 100, -10_000),
    ("F: an exercise out of the money is carried out", {CALL: 3}, "90", [("EXERCISE", 2)], 200, -20_000),
    ("F: a contrary exercise out of the money is too", {CALL: 3}, "90", [("CONTRARY_EXERCISE", 1)], 100, -10_000),
    ("E, F: the rest of a partial instruction goes by exception", {CALL: 5}, "110", [("EXERCISE", 2)], 500, -50_000),
    ("E: a later contract is not touched by exception", {LATER_PUT: 1}, "50", [], 0, 0),
    ("X: an index call pays its points", {"SPXW261120C06000000": 1}, "6010.50", [], 0, 1_050),
    ("X: a short index put in the money pays", {"SPXW261120P06000000": -2}, "5990", [], 0, -2_000),
    ("X: an index option out of the money lapses", {"XSP261120C00600000": 1}, "599", [], 0, 0),
    ("X: so does one settled by the opening", {"SPX261120C06000000": 1}, "6010.50", [], 0, 1_050),
]


@pytest.mark.parametrize(
    ("holds", "close", "told", "shares", "cash"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_evening_books_what_the_rules_say(
    holds: dict[str, int], close: str, told: list[tuple[str, int]], shares: int, cash: int
) -> None:
    closes = dict.fromkeys(("AAPL", "SPX", "XSP"), close)
    option = next(symbol for symbol in holds if len(symbol) > 6)
    instructed = [Told(kind, option, quantity) for kind, quantity in told]
    night = booked(Afternoon(holds=holds, closes=closes, told=instructed))
    assert (night.shares("AAPL"), night.cash) == (shares, cash)
    later = {symbol for symbol in holds if symbol == LATER_PUT}
    assert {symbol for symbol in night.holds if len(symbol) > 6} == later


@pytest.mark.parametrize(
    ("day", "symbol"),
    [
        (date(2026, 11, 20), "AAPL261121C00100000"),  # dated on the Saturday, as all were until 2015
        (date(2026, 4, 2), "AAPL260403C00100000"),  # Good Friday
        (date(2026, 6, 18), "AAPL260619C00100000"),  # Juneteenth on a Friday
        (date(2026, 11, 27), "AAPL261127C00100000"),  # the early close after Thanksgiving
        (date(2026, 3, 6), "AAPL260306C00100000"),  # the last Friday before clocks change
        (date(2026, 3, 9), "AAPL260309C00100000"),  # the first session after it
    ],
)
def test_a_contract_ends_on_the_evening_of_its_last_session(day: date, symbol: str) -> None:
    night = booked(Afternoon(holds={symbol: 1}, closes={"AAPL": "110"}, day=day, at="12:00"))
    assert night == booked(Afternoon(holds={CALL: 1}, closes={"AAPL": "110"}))
    assert night.cash == Decimal(-10_000)


HELD = {"SPXW261218C05900000": 2, "OEX261218C02900000": 2, "AAPL261128C00100000": 2}
CLOSES = {"SPX": "6000", "OEX": "3000", "AAPL": "110"}


@pytest.fixture
def exchange(opened: Opening, clock: SettableClock, tmp_path: Path) -> PaperExchange:
    """An account with index options, and a contract dated on the Saturday after an early close, on the Wednesday."""
    (tmp_path / "book.toml").write_text('title = "empty"\ncash = 100_000\n[clock]\nat = "15:00"\nstanding = true\n')
    clock.at = new_york(date(2026, 11, 25), "15:00").astimezone(UTC)
    exchange = opened(str(tmp_path / "book.toml"))
    with exchange.changing() as moment:
        for symbol, price in CLOSES.items():
            moment.ledger.put_instrument(listed_underlying(symbol, price))
        for symbol, quantity in HELD.items():
            moment.ledger.put_instrument(listed_option(symbol))
            moment.ledger.put_holding(Holding(ACCOUNT, symbol, Decimal(quantity), Decimal(200)))
    return exchange


async def test_a_european_option_is_not_exercised_early_and_an_american_one_pays_the_close_of_the_day(
    exchange: PaperExchange,
) -> None:
    async with http(exchange) as client:
        refused = await submit(client, row("SPXW261218C05900000", quantity="1"))
        taken = await submit(client, row("OEX261218C02900000", quantity="1"))
        assert refused.json()["data"][0]["rejection"]["reason"] == "EUROPEAN_STYLE"
        assert taken.status_code == 200
        before = (await client.get(POSITIONS)).json()["data"]
        exchange.clock.set(new_york(date(2026, 11, 25), "18:00"))
        rows = by_symbol(await client.get(POSITIONS))
    assert {row["underlying_instrument_type"] for row in before} == {"INDEX", "COMMON_STOCK"}
    assert (rows["OEX261218C02900000"]["quantity"], rows["SPXW261218C05900000"]["quantity"]) == ("1", "2")
    with exchange.reading() as moment:
        assert moment.ledger.accounts[ACCOUNT].cash == 110_000
        assert [movement.cash for movement in moment.ledger.movements] == [10_000]


@pytest.mark.parametrize(("at", "status"), [("14:29", 200), ("14:30", 400)])
async def test_instructions_on_a_contract_dated_on_a_saturday_end_with_the_session_before(
    exchange: PaperExchange, at: str, status: int
) -> None:
    exchange.clock.set(new_york(date(2026, 11, 27), at))
    async with http(exchange) as client:
        answer = await submit(client, row("AAPL261128C00100000", "DO_NOT_EXERCISE", "1"))
    assert answer.status_code == status
