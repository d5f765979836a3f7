"""Closes of options say buy-to-close and sell-to-close, their net debit or credit, and that they leg in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from guard.desk import desk
from guard.exchange import held
from positions_mcp.domain.account.positions import Position
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.closing.targets import Traded

SHORT, LONG = "AAPL280121P00195000", "AAPL280121P00190000"
LEGS_IN = " Market orders leg in one after another, each at its own price."


def short(price: str | None = "3.00") -> Position:
    return held(SHORT, -2, price=price, number=7)


def long(price: str | None = "1.00") -> Position:
    return held(LONG, 2, price=price, number=8)


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([short(), long()], f"Options: buy-to-close 2, sell-to-close 2; net debit about 400.00 before fees.{LEGS_IN}"),
        ([short("1.00"), long("3.00")], f"sell-to-close 2; net credit about 400.00 before fees.{LEGS_IN}"),
        ([short()], "Options: buy-to-close 2; net debit about 600.00 before fees."),
        ([long(), held("AAPL", 100, number=1)], "Options: sell-to-close 2; net credit about 200.00 before fees."),
        ([short(None)], "Options: buy-to-close 2; net not known."),
        ([short(), long(None)], "net debit about 600.00 before fees, 1 without a value."),
    ],
)
async def test_a_close_of_options_says_how_and_for_what_net(
    tmp_path: Path, positions: list[Position], said: str
) -> None:
    async with desk(tmp_path, positions=positions) as it:
        asked = question((await it.plan()).operation.plan)
        assert said in asked
        assert ("leg in" in asked) == (sum(each.is_option for each in positions) > 1)


def test_what_closes_come_to_is_not_rounded() -> None:
    words = Traded(Decimal("123456789012345678901234567890.12"), Decimal("24147.50"), 0).words
    net = "+123,456,789,012,345,678,901,234,543,742.62"
    sells = "123,456,789,012,345,678,901,234,567,890.12"
    assert words == f"Sells about {sells}, buys about 24,147.50: net {net} before fees"


async def test_a_close_of_shares_says_nothing_of_options(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        assert "to-close" not in question((await it.plan()).operation.plan)


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([held("AAPL", 100, price=None, number=1)], "The net is not known: 1 without a value."),
        ([short(None), held("AAPL", -5, price=None, number=1)], "The net is not known: 2 without a value."),
        (
            [held("AAPL", 100, number=1), held("MSFT", -5, price=None, number=2)],
            "Sells about 1,000.00: net of what is known +1,000.00 before fees; 1 without a value.",
        ),
        ([held("AAPL", 100, price="0", number=1)], "Comes to nothing."),
        ([held("AAPL", 100, price="-5", number=1)], "The net is not known: 1 without a value. Notional unknown,"),
        ([held("AAPL", -100, price="-5", number=1)], "The net is not known: 1 without a value."),
        ([held("AAPL", 100, price="5", market_value="-500", number=1)], "The net is not known: 1 without a value."),
        ([held("AAPL", -100, price="5", market_value="500", number=1)], "Buys about 500: net -500 before fees."),
        ([held(LONG, 2, price="-0.01", number=8)], "sell-to-close 2; net not known."),
        ([held("AAPL", 100, number=1)], "Sells about 1,000.00: net +1,000.00 before fees."),
    ],
)
async def test_a_net_that_lacks_a_value_is_never_said_to_be_the_whole(
    tmp_path: Path, positions: list[Position], said: str
) -> None:
    async with desk(tmp_path, positions=positions) as it:
        assert said in question((await it.plan()).operation.plan)
