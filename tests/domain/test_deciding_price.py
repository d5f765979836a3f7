"""Which price decides an expiration, told apart from the latest one, in words that stay true."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from evenings import FRIDAY, Afternoon, facts, new_york
from positions_mcp.domain.account.market import ContractFacts, Snapshot
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import ExerciseStyle, SecurityType
from positions_mcp.domain.exercise.facts import Basis, LatestPrice, PriceSource, traded_at
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.terms import INDEX_ROOTS, REVIEWED, SettlesAt, terms_of
from positions_mcp.paper.symbols import instrument_id_of

pytestmark = pytest.mark.requirement("I-07")
CALL = "AAPL261120C00195000"


def with_close(at: str, day: date | None, price: str | None = "201.5"):
    """The deciding price of a call on 100 shares that are held, at a time of its expiration day."""
    known = facts(Afternoon(holds={"AAPL": 100, CALL: 1}, closes={"AAPL": "190"}, at=at))
    shares, option = known.book.positions
    shares = shares._replace(
        instrument_price=None if price is None else Decimal(price), closing_price=Decimal(199), closing_price_date=day
    )
    book = replace(known.book, positions=(shares, option))
    return project(replace(known, book=book), FRIDAY).underlyings[0].price


READ = "latest 201.5 (the position's, read 2026-11-20 {at} New York; quote time not stated)"
CLOSE = "the close of 2026-11-20 at 16:00 New York"


@pytest.mark.parametrize(
    ("at", "closed", "basis", "price", "said"),
    [
        ("15:59", date(2026, 11, 19), Basis.LATEST, "201.5", f"{READ}; {CLOSE} decides"),
        (
            "16:00",
            date(2026, 11, 19),
            Basis.CLOSE_NOT_KNOWN,
            None,
            f"{CLOSE} decides and is not known here; {READ}, which does not decide",
        ),
        ("16:20", date(2026, 11, 20), Basis.CLOSE, "199", f"199, {CLOSE}, decides; {READ}, which does not decide"),
    ],
)
def test_before_the_close_the_latest_price_is_shown_and_after_it_only_the_days_close_decides(
    at: str, closed: date, basis: Basis, price: str | None, said: str
) -> None:
    deciding = with_close(at, closed)
    assert (deciding.basis, deciding.price) == (basis, None if price is None else Decimal(price))
    assert deciding.said == said.format(at=at)


def test_a_close_of_another_day_is_the_latest_price_and_says_which_day() -> None:
    deciding = with_close("12:00", date(2026, 11, 19), price=None)
    assert deciding.said.startswith("latest 199 (close, 2026-11-19 16:00 New York)")


def test_a_price_of_zero_is_no_price() -> None:
    known = facts(Afternoon(holds={"AAPL": 100, CALL: 1}, closes={"AAPL": "0"}))
    deciding = project(known, FRIDAY).underlyings[0].price
    assert (deciding.basis, deciding.price) == (Basis.NO_PRICE, None)


def test_market_data_prices_an_underlying_that_is_not_held_with_its_own_instant() -> None:
    trade = LatestPrice(Decimal("200.5"), new_york(FRIDAY, "14:58"), PriceSource.LAST_TRADE)
    known = facts(Afternoon(holds={CALL: 1}, closes={}), latest={"AAPL": trade})
    deciding = project(known, FRIDAY).underlyings[0].price
    assert deciding.said.startswith("latest 200.5 (last trade, 2026-11-20 14:58 New York)")


@pytest.mark.parametrize(
    ("symbol", "basis"),
    [
        ("SPX261120C06000000", Basis.OPENING_SETTLEMENT),
        ("VIX261120C00020000", Basis.OPENING_SETTLEMENT),
        ("SPXW261120C06000000", Basis.LATEST),
        ("AAPL1261120C00100000", Basis.ADJUSTED),
    ],
)
def test_an_opening_settlement_and_an_adjusted_contract_are_not_priced_by_what_trades(
    symbol: str, basis: Basis
) -> None:
    afternoon = Afternoon(holds={symbol: 1}, closes={})
    trade = LatestPrice(Decimal(6100), afternoon.now, PriceSource.LAST_TRADE)
    latest = dict.fromkeys(("SPX", "VIX", "AAPL1"), trade)
    (underlying,) = project(facts(afternoon, with_ids=False, latest=latest), FRIDAY).underlyings
    assert underlying.price.basis is basis
    assert (underlying.price.price is None) == bool(underlying.not_stated) == (basis is not Basis.LATEST)


def test_the_early_close_is_the_one_that_decides() -> None:
    friday = date(2026, 11, 27)
    afternoon = Afternoon(holds={"AAPL": 100, "AAPL261127C00195000": 1}, closes={"AAPL": "200"}, day=friday, at="13:00")
    projection = project(facts(afternoon), friday)
    assert projection.underlyings[0].price.basis is Basis.CLOSE_NOT_KNOWN
    assert "the close of 2026-11-27 at 13:00 New York" in projection.underlyings[0].price.said
    assert projection.cutoffs == (new_york(friday, "14:30"),)


@pytest.mark.parametrize("root", ["SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"])
def test_these_index_roots_settle_by_the_opening(root: str) -> None:
    assert INDEX_ROOTS[root].settles_at is SettlesAt.OPEN


@pytest.mark.parametrize("root", ["SPXW", "NDXP", "RUTW", "XSP", "OEX", "XEO"])
def test_these_settle_by_the_close(root: str) -> None:
    assert INDEX_ROOTS[root].settles_at is SettlesAt.CLOSE


def test_of_the_index_roots_only_oex_is_american_and_each_has_its_source() -> None:
    american = {root for root, each in INDEX_ROOTS.items() if each.style is ExerciseStyle.AMERICAN}
    assert american == {"OEX"}
    assert all(each.source for each in INDEX_ROOTS.values())
    assert date(2026, 1, 1) < REVIEWED


def said(**fields: object) -> ContractFacts:
    """What the API says of a contract."""
    return ContractFacts.model_validate({"id": instrument_id_of(CALL), **fields})


def option(symbol: str, *, with_ids: bool = False) -> Position:
    (position,) = facts(Afternoon(holds={symbol: 1}, closes={}), with_ids=with_ids).book.positions
    return position


def test_the_apis_word_on_style_settlement_and_multiplier_goes_before_the_list_of_roots() -> None:
    stated = said(exercise_style="AMERICAN", is_settle_on_open=False, multiplier=10)
    terms = terms_of(option("SPX261120C06000000"), stated)
    assert (terms.style, terms.settles_at, terms.multiplier) == (ExerciseStyle.AMERICAN, SettlesAt.CLOSE, 10)
    silent = terms_of(option("SPX261120C06000000"), said())
    assert (silent.style, silent.settles_at, silent.multiplier) == (ExerciseStyle.EUROPEAN, SettlesAt.OPEN, 100)


def test_an_option_on_shares_is_american_and_settles_by_the_close_unless_the_api_says_otherwise() -> None:
    terms = terms_of(option(CALL))
    assert (terms.style, terms.settles_at, terms.in_cash) == (ExerciseStyle.AMERICAN, SettlesAt.CLOSE, False)
    assert terms_of(option(CALL), said(exercise_style="EUROPEAN")).style is ExerciseStyle.EUROPEAN


def test_an_index_option_that_no_list_knows_has_no_known_style_or_settlement() -> None:
    unlisted = option("ZZZ261120C00100000", with_ids=True)._replace(underlying_instrument_type=SecurityType.INDEX)
    terms = terms_of(unlisted)
    assert (terms.style, terms.settles_at, terms.in_cash) == (None, None, True)


@pytest.mark.parametrize("multiplier", [None, 100, 150])
def test_what_an_adjusted_contract_delivers_is_not_known_whatever_its_multiplier_is(multiplier: int | None) -> None:
    assert terms_of(option("AAPL1261120C00100000"), said(multiplier=multiplier)).multiplier is None


def test_an_over_the_counter_contract_delivers_what_is_not_known() -> None:
    assert terms_of(option(CALL), said(listing_type="OTC", multiplier="100")).multiplier is None
    assert terms_of(option(CALL), said(listing_type="FLEX", multiplier="100")).multiplier == 100


TRADE = {"price": "200.5", "timestamp": "2026-11-20T19:58:00Z"}
QUOTE = {"midpoint": "200.6", "bid_timestamp": "2026-11-20T19:57:00Z", "ask_timestamp": "2026-11-20T19:59:00Z"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"last_trade": TRADE, "last_quote": QUOTE}, "200.5 (last trade, 2026-11-20 14:58 New York)"),
        ({"last_quote": QUOTE}, "200.6 (quote, 2026-11-20 14:57 New York)"),
        ({"last_trade": {**TRADE, "price": "0"}, "last_quote": QUOTE}, "200.6 (quote, 2026-11-20 14:57 New York)"),
        ({"last_trade": {"price": "200.5"}}, None),
        ({"last_quote": {**QUOTE, "midpoint": None}}, None),
        ({"last_quote": {**QUOTE, "bid": "200.5", "ask": "200.7"}}, "200.6 (quote, 2026-11-20 14:57 New York)"),
        ({"last_quote": {**QUOTE, "bid": "200.6", "ask": "200.6"}}, "200.6 (quote, 2026-11-20 14:57 New York)"),
        ({"last_quote": {**QUOTE, "bid": "200.7", "ask": "200.5"}}, None),  # crossed
        ({"last_quote": {**QUOTE, "bid": "0", "ask": "401.2"}}, None),  # nobody bids
        ({"last_quote": {**QUOTE, "bid": "-1"}}, None),
        ({"last_quote": {**QUOTE, "bid": "201", "ask": "202"}}, None),  # its midpoint lies outside
        ({}, None),
    ],
)
def test_market_data_price_by_the_last_trade_or_else_the_quote_if_it_has_an_instant(
    fields: dict[str, object], expected: str | None
) -> None:
    found = traded_at(Snapshot.model_validate({"instrument_id": instrument_id_of("AAPL"), **fields}))
    assert (found and found.said) == expected
