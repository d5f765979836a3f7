"""The book page's pictures: what they show, what they leave out in words, and that text in them stays text."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

from desk.pages import on_a_desk, page_over
from guard.clearing import clearing_desk
from guard.desk import AAPL, PASSPHRASE, Desk
from guard.exchange import held
from positions_mcp.domain.account.positions import Position


async def pictures(desk: Desk) -> dict[str, Any]:
    async with page_over(desk) as page:
        await page.sign_in()
        drawn = await page.read("/api/accounts/19816/pictures")
    return {each["title"]: each for each in drawn}


@on_a_desk
async def test_profit_and_exposure_are_drawn_with_losses_told_apart_by_side_and_sign(desk: Desk) -> None:
    desk.exchange.change(AAPL, unrealized_pnl=None)
    desk.exchange.hold(
        held("AAPL261218C00220000", -2, price="5.00", number=7, underlying_instrument_id=None),
        held("KO", 10, price="60.00", number=8, unrealized_pnl=Decimal("-25.50")),
    )
    drawn = await pictures(desk)
    profit, exposure = drawn["Unrealized profit and loss by position"], drawn["Market value by underlying"]
    assert "KO -25.50" in profit["said"]
    assert any("not known" in line for line in profit["beside"])
    # Shares and the options on them are one bar: 15,050 less two short calls of 500 each.
    assert "AAPL +14,050.00" in exposure["said"]
    assert "TSLA -9,000.00" in exposure["said"]


@on_a_desk
async def test_the_ladder_stands_by_day_long_and_short_apart(desk: Desk) -> None:
    desk.exchange.hold(
        held("AAPL261218C00220000", -2, number=7),
        held("AAPL261218P00220000", 3, number=8),
        held("AAPL261120C00220000", 1, number=9),
    )
    said = (await pictures(desk))["Option contracts by expiry"]["said"]
    rows = ["2026-11-20 long +1 contracts", "2026-12-18 long +3 contracts", "2026-12-18 short -2 contracts"]
    assert said == "Option contracts by expiry: " + "; ".join(rows)


@on_a_desk
async def test_positions_of_one_name_are_told_apart_by_their_ids(desk: Desk) -> None:
    twice = [held("KO", 10, price="60.00", number=number, unrealized_pnl=Decimal(5)) for number in (8, 9)]
    desk.exchange.hold(*twice)
    names = {f"KO [{each.instrument_id}]" for each in twice}
    async with page_over(desk) as page:
        await page.sign_in()
        rows = (await page.read("/api/accounts/19816/book"))["positions"]
    assert names == {row["symbol"] for row in rows if row["symbol"].startswith("KO")}
    said = (await pictures(desk))["Unrealized profit and loss by position"]["said"]
    assert all(name in said for name in names)


@on_a_desk
async def test_a_symbol_that_is_markup_stays_text(desk: Desk) -> None:
    desk.exchange.hold(held('<script>"&', 10, price="60.00", number=8, unrealized_pnl=Decimal(5)))
    for each in (await pictures(desk)).values():
        if each["svg"]:
            assert not ET.fromstring(each["svg"]).findall(".//{*}script")


async def test_the_next_expiration_evening_is_drawn_with_everything_that_is_open(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        await it.desk.supervisor.set_up_approver(PASSPHRASE)
        drawn = await pictures(it.desk)
        (evening,) = [each for title, each in drawn.items() if title.startswith("Cash moved by the evening")]
        assert any(line.startswith("Not known:") for line in evening["beside"])


class Noting(Position):
    """Notes which thread asks what it is worth: in a large book that is what decodes it."""

    __slots__ = ()
    asked: ClassVar[set[int]] = set()

    @property
    def value(self) -> Decimal | None:
        self.asked.add(threading.get_ident())
        return super().value


@on_a_desk
async def test_a_book_is_looked_at_where_nobody_else_waits_for_it(desk: Desk) -> None:
    desk.exchange.hold(Noting(*held("KO", 10, price="60.00", number=8)))
    async with page_over(desk) as page:
        await page.sign_in()
        for shown in ("pictures", "book"):
            Noting.asked.clear()
            await page.read(f"/api/accounts/19816/{shown}")
            assert Noting.asked
            assert threading.get_ident() not in Noting.asked


@on_a_desk
async def test_nothing_is_drawn_of_an_account_that_cannot_be_read(desk: Desk) -> None:
    desk.exchange.reads_fail = True
    assert await pictures(desk) == {}
