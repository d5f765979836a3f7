"""Short options whose deliverable is not known: what may be covering them is found whatever way they are written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.books import POSITIONS, book_of, identifier
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.portfolio.resolve import Holdings, find_underlying
from positions_mcp.domain.portfolio.uncertain import may_deliver, uncertain_cover

pytestmark = pytest.mark.requirement("G-12")
SHARE, SHORT, OTHER, LONG = (InstrumentId(identifier(number)) for number in (1, 2, 3, 4))


def held(
    key: InstrumentId,
    symbol: str,
    quantity: int,
    kind: str = "OPTION",
    *,
    on: str | None = None,
    says: str | None = None,
) -> Position:
    row = {"account_id": 19816, "instrument_id": key, "symbol": symbol, "quantity": Decimal(quantity)}
    row["position_type"] = says
    return POSITIONS.validate_python(row | {"instrument_type": kind, "underlying_instrument_id": on})


def covering(*positions: Position, touched: InstrumentId = SHARE, bought_back: tuple[InstrumentId, ...] = ()) -> bool:
    return bool(uncertain_cover(book_of(*positions), [touched], bought_back))


@pytest.mark.parametrize(
    ("share", "short", "on"),
    [
        ("BABA", "BABA2 270115C00145000", SHARE),
        ("BABA", "BABA2 270115C00145000", None),
        ("BABA", "BABA12270115C00145000", None),
        ("AAPL", "1AAPL 270115C00145000", None),
        ("AAPL", "2AAPL270115C00145000", SHARE),
        ("BRK.B", "BRKB1 270115C00145000", None),
        ("BRK/B", "BRK.B1270115C00145000", None),
        ("brk b", "1BRKB 270115C00145000", None),
        ("AAPL", "", SHARE),
        ("AAPL", "", None),
        ("AAPL", "AAPL 15JAN27 145 C", None),
        ("AAPL", "AAPL 270115X00145000", None),
        ("AAPL", "???", SHARE),
        ("RENAMED", "BABA2 270115C00145000", SHARE),
    ],
)
def test_shares_that_may_cover_an_option_of_unknown_deliverable_are_found(
    share: str, short: str, on: str | None
) -> None:
    assert covering(held(SHARE, share, 100, "COMMON_STOCK"), held(SHORT, short, -1, on=on))


@pytest.mark.parametrize(
    ("share", "quantity", "kind", "short", "on"),
    [
        ("AAPL", 100, "COMMON_STOCK", "AAPL  270115C00145000", None),  # a standard one is judged, not uncertain
        ("KO", 100, "COMMON_STOCK", "BABA2 270115C00145000", None),
        ("BABA", 100, "COMMON_STOCK", "BABA2 270115C00145000", OTHER),  # the API names another share that is held
        ("BABA", -100, "COMMON_STOCK", "BABA2 270115C00145000", None),  # short shares cover no call
        ("BABA", 100, "COMMON_STOCK", "BABA2 270115P00145000", None),  # long shares cover no put
        ("USD", 100, "CASH", "", None),
        ("SPX", 100, "INDEX", "", None),
    ],
)
def test_what_cannot_be_its_cover_is_left_alone(
    share: str, quantity: int, kind: str, short: str, on: str | None
) -> None:
    other = held(OTHER, "OTHER", 100, "COMMON_STOCK")
    assert not covering(held(SHARE, share, quantity, kind), held(SHORT, short, -1, on=on), other)


def test_short_shares_may_cover_an_adjusted_put() -> None:
    assert covering(held(SHARE, "BABA", -100, "COMMON_STOCK"), held(SHORT, "BABA2 270115P00145000", -1))


def test_two_shares_of_one_root_leave_open_which_of_them_covers() -> None:
    shares = held(SHARE, "BRK.B", 100, "COMMON_STOCK"), held(OTHER, "BRK/B", 100, "COMMON_STOCK")
    assert covering(*shares, held(SHORT, "BRKB  270115C00145000", -1))


def test_a_long_option_on_the_same_underlying_may_protect_it() -> None:
    short = held(SHORT, "BABA2 270115C00145000", -1)
    assert covering(held(LONG, "BABA  270115C00150000", 1), short, touched=LONG)
    assert not covering(held(LONG, "BABA  270115P00150000", 1), short, touched=LONG)
    assert not covering(held(LONG, "KO    270115C00150000", 1), short, touched=LONG)


def test_an_option_that_the_plan_buys_back_needs_no_cover() -> None:
    share, short = held(SHARE, "BABA", 100, "COMMON_STOCK"), held(SHORT, "BABA2 270115C00145000", -1)
    assert not covering(share, short, bought_back=(SHORT,))


@pytest.mark.parametrize(("option", "quantity"), [("BABA  270115P00145000", 100), ("BABA2 270115C00145000", -100)])
def test_exercising_takes_away_the_shares_it_delivers(option: str, quantity: int) -> None:
    share, long = held(SHARE, "BABA", quantity, "COMMON_STOCK"), held(LONG, option, 1)
    assert may_deliver(long, book_of(share, long)) == (SHARE,)


@pytest.mark.parametrize("shown", ["BRKB", "BRK.B", "BRK/B", "brk.b", '"BRK B"'])
@pytest.mark.parametrize("symbol", ["BRK.B", "BRK/B", "BRKB", "BRK B"])
def test_a_share_is_found_in_every_spelling_of_its_symbol(symbol: str, shown: str) -> None:
    share = held(SHARE, symbol, 100, "COMMON_STOCK")
    option = held(LONG, "BRKB  270115C00145000", 1)
    assert Holdings((share,)).find(shown) is share
    underlyings = Underlyings((share, option))
    name = find_underlying(shown.strip('"'), (share, option), underlyings)
    assert all(underlyings.matches(each, name) for each in (share, option))


@pytest.mark.parametrize("shown", ["BRKB  270115C00145000", "BRK.B270115C00145000", "BRK/B 270115C00145000"])
def test_an_option_is_found_in_every_spelling_of_its_root(shown: str) -> None:
    option = held(LONG, "BRK.B 270115C00145000", 1)
    assert Holdings((option,)).find(shown) is option


@pytest.mark.parametrize(("quantity", "says"), [(100, "SHORT"), (-100, "LONG")])
@pytest.mark.parametrize("right", ["C", "P"])
def test_shares_that_contradict_themselves_may_cover_and_may_be_delivered_either_way(
    quantity: int, says: str, right: str
) -> None:
    share = held(SHARE, "BABA", quantity, "COMMON_STOCK", says=says)
    assert covering(share, held(SHORT, f"BABA2 270115{right}00145000", -1))
    long = held(LONG, f"BABA2 270115{right}00145000", 1)
    assert may_deliver(long, book_of(share, long)) == (SHARE,)


@pytest.mark.parametrize(("quantity", "says"), [(1, "SHORT"), (-1, "LONG"), (1, "SHORT_CALL"), (-1, "SHORT")])
def test_an_option_that_contradicts_itself_counts_as_short(quantity: int, says: str) -> None:
    share = held(SHARE, "BABA", 100, "COMMON_STOCK")
    assert covering(share, held(SHORT, "BABA2 270115C00145000", quantity, says=says))
    protecting = held(LONG, "BABA  270115C00150000", quantity, says=says)
    assert not covering(protecting, held(SHORT, "BABA2 270115C00145000", -1), touched=LONG)
