"""What a short option obliges to, and what an exercise under way takes from its cover."""

from __future__ import annotations

from decimal import Decimal

import pytest

from evenings import CALENDAR, FRIDAY, Afternoon, Told, facts, new_york
from positions_mcp.domain.account.market import ContractFacts
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.terms import sized
from positions_mcp.domain.portfolio.exposure import expected_quantities, exposed, notional_of
from positions_mcp.paper.symbols import instrument_id_of

PUT, CALL = "AAPL261218P00090000", "AAPL261218C00110000"


def short(symbol: str, own: str | None, value: str | None, underlying: str | None) -> tuple[Position, ...]:
    holds = {symbol: -2} | ({} if underlying is None else {"AAPL": 100})
    known = facts(Afternoon(holds=holds, closes={} if underlying is None else {"AAPL": underlying}))
    option, *others = known.book.positions
    own_price, market_value = (None if each is None else Decimal(each) for each in (own, value))
    return option._replace(instrument_price=own_price, market_value=market_value), *others


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "own", "value", "underlying", "amount", "priced"),
    [
        (PUT, "2", "-400", None, 18_000, True),
        (PUT, None, None, None, 18_000, True),
        (PUT, None, "0", None, 18_000, True),
        (PUT, "2", "-400", "100", 18_000, True),
        (PUT, "2", "-400", "50", 18_000, True),
        (PUT, "95", "-19000", None, 19_000, True),
        (CALL, "2", "-400", "100", 20_000, True),
        (CALL, "2", "-400", None, 22_000, False),
        ("AAPL1261218P00090000", "2", "-400", None, 18_000, False),
    ],
)
def test_a_short_puts_strike_is_its_whole_obligation_and_a_short_calls_is_its_underlyings_price(
    *, symbol: str, own: str | None, value: str | None, underlying: str | None, amount: int, priced: bool
) -> None:
    option, *others = short(symbol, own, value, underlying)
    book = facts(Afternoon(holds={}, closes={})).book
    measure = notional_of(option, type(book)(account_id=book.account_id, positions=(option, *others), as_of=book.as_of))
    assert (measure.amount, measure.priced) == (amount, priced)


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("shares", "long", "cover", "uncovered"),
    [
        (-200, "AAPL261120C00095000", PUT, 2),
        (-300, "AAPL261120C00095000", PUT, 1),
        (200, "AAPL261120P00105000", CALL, 2),
        (200, "AAPL261120C00095000", CALL, 0),
        (-200, "AAPL261120P00105000", PUT, 0),
    ],
    ids=["a call buys short shares back", "but not all", "a put sells shares", "a call adds some", "a put adds short"],
)
def test_shares_that_an_exercise_under_way_takes_away_cover_nothing(
    shares: int, long: str, cover: str, uncovered: int
) -> None:
    told = (Told("EXERCISE", long, 2, "SENT"),)
    afternoon = Afternoon(holds={"AAPL": shares, long: 2, cover: -2}, closes={"AAPL": "100"}, told=told)
    known = facts(afternoon)
    assert known.outstanding is not None
    counted = expected_quantities(known.book, open_orders=(), outstanding=known.outstanding)
    (lacking,) = exposed(known.book, [counted])
    assert sum(group.uncovered for group in lacking.values()) == uncovered
    assert counted[known.book.positions[1].instrument_id] == 0
    without = Outstanding((), now=new_york(FRIDAY, "15:00"), calendar=CALENDAR)
    whole = expected_quantities(known.book, open_orders=(), outstanding=without)
    assert whole[known.book.positions[0].instrument_id] == shares
    assert instrument_id_of(cover) in counted


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("stated", "shares", "uncovered", "amount"),
    [("100", 200, 0, 20_000), ("150", 200, 1, 30_000), ("150", 300, 0, 30_000), ("10", 20, 0, 2_000)],
)
def test_cover_and_notional_count_the_multiplier_that_the_api_states(
    stated: str, shares: int, uncovered: int, amount: int
) -> None:
    plain_book = facts(Afternoon(holds={CALL: -2, "AAPL": shares}, closes={"AAPL": "100"})).book
    (option,) = plain_book.options
    row = {"id": option.instrument_id, "multiplier": stated}
    book = sized(plain_book, {option.instrument_id: ContractFacts.model_validate(row)})
    quantities = expected_quantities(book, open_orders=())
    assert sum(group.uncovered for group in exposed(book, [quantities])[0].values()) == uncovered
    assert notional_of(option._replace(instrument_price=None, market_value=None), book).amount == amount


def test_an_option_covers_whole_ones_of_its_own_multiplier_alone() -> None:
    long = "AAPL261218C00105000"
    plain_book = facts(Afternoon(holds={CALL: -1, long: 1}, closes={})).book
    key = plain_book.options[0].instrument_id
    stated = {key: ContractFacts.model_validate({"id": key, "multiplier": "150"})}
    assert [
        sum(group.uncovered for group in exposed(book, [expected_quantities(book, open_orders=())])[0].values())
        for book in (plain_book, sized(plain_book, stated))
    ] == [0, 1]
