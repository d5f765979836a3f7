"""A listing of very many rows, which are made anew page by page, answers as one whose rows are all at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from mcp import Client

from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.portfolio import resolve
from positions_mcp.domain.portfolio.select import SortKey
from positions_mcp.tools import list_positions
from tools.serving import StubBroker, call, data_of, held, server_over, words_of

QUESTIONS: list[dict[str, Any]] = [
    {},
    *({"sort_by": key.value, "sort_direction": way} for key in SortKey for way in ("ASC", "DESC")),
    {"side": "short", "ids": True},
    {"locked": False},
    {"instrument_type": "OPTION"},
    {"min_pnl_pct": 1},
    {"underlying": "AAPL"},
    {"instruments": ["MSFT", "AAPL", "AAPL261218C00240000"], "sort_by": "DAY_PNL"},
    {"instruments": ["NOPE"]},
    {"underlying": "NOPE"},
]


def book() -> StubBroker:
    """Namesakes, equal values, values that are missing, and rows that contradict themselves."""
    shares = [
        held(
            symbol,
            str(quantity),
            number=number,
            instrument_type="COMMON_STOCK",
            position_type="LONG" if number % 5 else "SHORT",
            market_value=value,
            unrealized_pnl_pct=percent,
            daily_unrealized_pnl=value,
            available_quantity=None if number % 2 else "1",
        )
        for number, (symbol, quantity, value, percent) in enumerate(
            [
                ("AAPL", 5, "10.00", "2"),
                ("MSFT", 3, None, None),
                ("msft", -3, "-10.00", "-4"),
                ("KO", 0, "0", "0.5"),
                ("GME", 7, "0.00", None),
                ("GME", 9, "250", "12"),
            ]
        )
    ]
    options = [
        held(
            f"AAPL  261218C00{240 + number}000", "-1", number=20 + number, instrument_type="OPTION", market_value="-10"
        )
        for number in range(3)
    ]
    return StubBroker(positions=[*shares, *options])


async def answers_to(question: dict[str, Any]) -> list[object]:
    """Every page, and in the end what the last one says."""
    broker, said = book(), list[object]()
    async with Client(server_over(broker)) as client:
        result = await client.call_tool("list_positions", {**question, "limit": 2})
        while not result.is_error:
            said.append(data_of(result))
            if (cursor := data_of(result).get("next_cursor")) is None:
                break
            result = await client.call_tool("list_positions", {"cursor": cursor})
        said.append(words_of(result))
    return said


@pytest.mark.one_process("changes from how many rows on its own process makes them anew")
@pytest.mark.requirement("A-01")
@pytest.mark.parametrize("question", QUESTIONS, ids=str)
async def test_a_long_listing_answers_as_a_short_one(question: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    short = await answers_to(question)
    monkeypatch.setattr(list_positions, "MANY", 1)
    monkeypatch.setattr(resolve, "AT_A_TIME", 1)
    assert await answers_to(question) == short


async def test_options_of_one_day_stand_as_in_the_book_where_they_are_worth_nothing_or_an_unknown_amount() -> None:
    values = ("0", None, "0.00", None)
    options = [
        held(f"AAPL  261120C0024{place}000", number=place, instrument_type="OPTION", market_value=value)
        for place, value in enumerate(values)
    ]
    server, asked = server_over(StubBroker(positions=options)), {"expires_by": "2026-11-20"}
    rows = data_of(await call(server, "list_positions", asked))["rows"]
    assert [row[0] for row in rows] == [f"AAPL261120C0024{place}000" for place in range(4)]


def test_what_is_looked_up_in_a_long_listing_keeps_none_of_its_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "AT_A_TIME", 1)
    made = list[Holding]()

    class Page(list[Holding]):
        def __iter__(self) -> Iterator[Holding]:
            made.extend(book().positions)
            return iter(made[-len(self) :])

    whole = Whole[Holding]()
    whole.add(Page(book().positions))
    named = resolve.named_of(whole)
    assert [each.name for each in named] == [each.name for each in made]
    assert not {id(each) for each in made} & {id(each) for each in cast("list[Holding]", named)}
