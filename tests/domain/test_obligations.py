"""Exposure beside market value: the strikes that short options oblige to, and delta-adjusted value."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.books import POSITIONS, identifier
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.portfolio.summary import MOST_OPTIONS, DeltaAdjusted, Obligations, delta_adjusted


def held(symbol: str, quantity: str, number: int = 1, **fields: str) -> Position:
    row = {"account_id": 19816, "instrument_id": identifier(number), "symbol": symbol, "quantity": quantity}
    return POSITIONS.validate_python(row | fields)


def of(*positions: Position) -> Obligations:
    """Gathered one by one, as pages come."""
    gathered = Obligations()
    for position in positions:
        gathered.add([position])
    return gathered


def test_short_options_oblige_to_their_strikes_and_long_ones_to_nothing() -> None:
    book = of(
        held("AAPL261218P00200000", "-2"),
        held("AAPL261218C00250000", "-3", 2),
        held("AAPL261218P00190000", "5", 3),
        held("SPXW261218P06000000", "-1", 4, underlying_instrument_type="INDEX"),
        held("BABA2261218C00100000", "-1", 5),
        held("", "-1", 6, instrument_type="OPTION"),
        held("KO", "-100", 7),
    )
    assert (book.puts, book.calls, book.in_cash, book.not_known) == (40000, 75000, 600000, 2)


def test_an_option_that_contradicts_itself_obliges_as_a_short_one() -> None:
    assert of(held("AAPL261218P00200000", "2", position_type="SHORT_OPTION")).puts == 40000


STOCK = held("AAPL", "100", 9, market_value="23000", instrument_price="230")
CASH = held("USD", "5", 4, market_value="5", instrument_type="CASH")
CALL = held("AAPL261218C00250000", "-2", 2)
DELTA = {InstrumentId(identifier(2)): Decimal("0.4")}
PRICE = {InstrumentId(identifier(2)): Decimal(230)}


@pytest.mark.parametrize(
    ("positions", "deltas", "expected"),
    [
        ([STOCK, CALL], DELTA, DeltaAdjusted(Decimal(4600), 0)),
        ([STOCK, CALL, held("AAPL261218P00200000", "1", 3)], DELTA, DeltaAdjusted(Decimal(4600), 1)),
        ([STOCK, CALL, held("KO", "5", 4)], DELTA, DeltaAdjusted(Decimal(4600), 1)),
        ([STOCK, CALL, CASH], DELTA, DeltaAdjusted(Decimal(4600), 0)),
        ([STOCK, CALL], {}, None),
        ([CALL, *(held("AAPL261218P00200000", "1", 10 + n) for n in range(MOST_OPTIONS))], DELTA, None),
    ],
    ids=["all known", "an option without greeks", "a share without a price", "cash", "no greeks", "too many options"],
)
def test_delta_adjusted_counts_what_it_lacks_and_is_not_known_without_any_delta(
    positions: list[Position], deltas: dict[InstrumentId, Decimal], expected: DeltaAdjusted | None
) -> None:
    assert delta_adjusted(of(*positions), deltas, PRICE) == expected


def test_a_multiplier_that_the_api_states_counts_and_one_that_it_makes_unknown_is_counted_as_such() -> None:
    put, call = held("AAPL261218P00200000", "-2"), held("AAPL261218C00250000", "-2", 2)
    of_150 = {put.instrument_id: Decimal(150), call.instrument_id: None}
    book = of(put, call, STOCK).sized(of_150)
    assert (book.puts, book.calls, book.not_known) == (60000, 0, 1)
    resized = of(CALL, STOCK).sized({CALL.instrument_id: Decimal(150)})
    assert delta_adjusted(resized, DELTA, PRICE) == DeltaAdjusted(Decimal("-4600.0"), 0)
