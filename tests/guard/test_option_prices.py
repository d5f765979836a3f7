"""A plan for an option goes stale by its underlying's move and by dollars, not by a premium of a few cents (G-03)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from benchmarks.staleness import LIMIT, Market, markets

from guard.desk import AAPL, CALLER, POLICY, desk
from guard.exchange import held, instrument
from guard.test_last_trade import Listed
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule

OPTION = 7
CALL, PUT = "AAPL280121C00195000", "AAPL280121P00195000"
UNDERLYING = 250
"""Held by nobody: its price is market data's."""


async def sent_after(
    tmp_path: Path, option: Any, change: dict[str, Any], *, spot: str | None, later: str | None
) -> str:
    """Plan to close an option, let prices change, say yes: why it is stale, or nothing."""
    positions = [option] if spot is None else [option, held("AAPL", 300, price=spot, number=AAPL)]
    async with desk(tmp_path, positions=positions) as it:
        operation = await it.asked(option.name)
        it.exchange.change(OPTION, **change)
        if spot is not None:
            it.exchange.change(AAPL, instrument_price=None if later is None else Decimal(later))
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert len(it.exchange.requests) == (report.state is not OperationState.STALE)
        return report.reason if report.state is OperationState.STALE else ""


def worth(price: str, quantity: int) -> dict[str, Any]:
    return {"instrument_price": Decimal(price), "market_value": Decimal(price) * quantity * 100}


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize(
    ("symbol", "quantity", "price", "after", "spot", "later", "why"),
    [
        (CALL, -2, "0.05", "0.10", "190", "190.2", ""),
        (CALL, -2, "0.05", "0.01", "190", "189.5", ""),
        (CALL, 2, "0.05", "0.00", "190", "189.5", ""),
        (CALL, -2, "3.00", "3.60", "190", "191", ""),
        (CALL, -2, "3.00", "3.60", "190", "195.8", "moved +3.1 %, from 190 to 195.8, beyond the tolerance of 2"),
        (CALL, 2, "3.00", "1.20", "190", "184", "moved -3.2 %, from 190 to 184, beyond the tolerance of 2"),
        (CALL, -2, "3.00", "3.00", "190", "195.8", "moved +3.1 %"),
        (CALL, -2, "3.00", "7.50", "190", "190", "moved from 3.00 to 7.50 a share, $900.00 for what is to be traded"),
        (CALL, 2, "3.00", "3.60", None, None, ""),
        (CALL, -2, "3.00", "5.50", None, None, "beyond the tolerance of 1.95 a share"),
        (CALL, -2, "3.00", "5.50", "190", None, "beyond the tolerance of 1.90 a share"),
        (PUT, -2, "0.05", "0.50", None, None, ""),
        (PUT, 2, "6.00", "2.00", None, None, "moved from 6.00 to 2.00 a share"),
    ],
)
async def test_an_option_is_stale_by_its_underlying_or_by_dollars(
    tmp_path: Path,
    *,
    symbol: str,
    quantity: int,
    price: str,
    after: str,
    spot: str | None,
    later: str | None,
    why: str,
) -> None:
    option = held(symbol, quantity, price=price, number=OPTION)
    said = await sent_after(tmp_path, option, worth(after, quantity), spot=spot, later=later)
    assert why in said
    assert bool(said) == bool(why)


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize(
    ("symbol", "quantity", "spot", "stale"),
    [(PUT, -2, None, False), (CALL, -2, None, True), (CALL, -2, "190", False), (PUT, 2, None, True)],
    ids=["a short put is bounded", "a short call is not", "its underlying tells", "a long put"],
)
async def test_an_option_without_a_price_by_the_time_of_sending(
    tmp_path: Path, symbol: str, quantity: int, spot: str | None, stale: bool
) -> None:
    option = held(symbol, quantity, price="3.00", number=OPTION)
    gone = {"instrument_price": None, "market_value": None}
    assert bool(await sent_after(tmp_path, option, gone, spot=spot, later=spot)) is stale


@pytest.mark.requirement("G-03")
async def test_the_price_of_an_underlying_that_is_not_held_is_read_from_market_data(tmp_path: Path) -> None:
    listed = Listed(prices={instrument(UNDERLYING): "190"})
    option = held(CALL, -2, price="3.00", number=OPTION, underlying_instrument_id=instrument(UNDERLYING))
    async with desk(tmp_path, positions=[option], neighbours=listed.neighbours) as it:
        planned = await it.plan(CALL)
        assert planned.verdict.findings == ()
        assert planned.operation.plan.measure == 38_000
        operation = await it.guard.ask(planned.operation)
        listed.prices[instrument(UNDERLYING)] = "196"
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert "moved +3.2 %, from 190 to 196" in report.reason


@pytest.mark.requirement("G-03")
async def test_an_adjusted_contract_whose_symbol_is_no_option_goes_by_its_own_price(tmp_path: Path) -> None:
    option = held("AAPL", 2, price="3.00", number=OPTION)
    said = await sent_after(tmp_path, option, worth("3.60", 2), spot=None, later=None)
    assert "AAPL moved" in said


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize("market", tuple(markets()), ids=str)
def test_a_minute_of_noise_is_not_stale_and_a_move_of_three_percent_is(market: Market) -> None:
    assert market.stale_share(300, seed=7) < LIMIT
    assert market.is_stale(market.adverse_move(0.03))
    if market.is_underlying_known:
        assert market.is_stale(-market.adverse_move(0.03))


def test_the_simulation_finds_a_rule_that_goes_by_a_tenth_of_the_premium() -> None:
    def tenth(market: Market, moved: float) -> bool:
        before = market.premium(market.spot, 60)
        return abs(market.premium(market.spot * (1 + moved), 59) - before) > before / 10

    market = Market(231.4, 0.30)
    moves = [step / 10_000 for step in range(-20, 21)]
    assert sum(tenth(market, move) for move in moves) > len(moves) / 2
    assert not any(replace(market, quantity=10).is_stale(move) for move in moves)


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "quantity", "fields", "notional"),
    [
        (PUT, -2, {}, 39_000),
        (PUT, -2, {"market_value": Decimal("0.00")}, 39_000),
        (PUT, 2, {}, 39_000),
        (CALL, 2, {}, 39_000),
        (CALL, 2, {"market_value": Decimal(0), "instrument_price": Decimal(0)}, 39_000),
        ("SPXW280121P06000000", -1, {}, 600_000),
    ],
    ids=["short put", "short put worth nothing", "long put", "long call", "worthless long call", "short index put"],
)
async def test_an_order_that_only_lowers_risk_needs_no_price(
    tmp_path: Path, symbol: str, quantity: int, fields: dict[str, Any], notional: int
) -> None:
    async with desk(tmp_path, positions=[held(symbol, quantity, price=None, number=OPTION, **fields)]) as it:
        planned = await it.plan(symbol)
        assert planned.operation.plan.measure == notional
        assert planned.verdict.findings == ()


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize("price", [None, "3.00"])
async def test_the_notional_of_a_short_call_without_its_underlyings_price_is_unknown(
    tmp_path: Path, price: str | None
) -> None:
    async with desk(tmp_path, positions=[held(CALL, -2, price=price, number=OPTION)], policy=POLICY) as it:
        planned = await it.plan(CALL)
        (finding,) = planned.verdict.needs_desk
        assert finding.rule is Rule.MISSING_PRICE
        assert finding.message == (
            f"The notional of {CALL} is unknown: a short call has no bound without its underlying's price. It is "
            "counted as 39,000.00, by its strike, and may be more."
        )
        assert "Notional unknown, counted as 39,000.00." in question(planned.operation.plan)


def test_the_defaults_are_those_that_are_simulated() -> None:
    assert (Policy().tolerance, Policy().option_tolerance) == (Decimal("0.10"), Decimal("0.02"))
